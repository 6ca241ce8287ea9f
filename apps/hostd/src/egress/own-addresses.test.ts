import { networkInterfaces } from "node:os";
import { expect, it } from "vitest";
import { isOwnAddress } from "./own-addresses.ts";

const entry = (address: string, family: "IPv4" | "IPv6") => ({
  ...{ address, family, netmask: "", mac: "", internal: false, cidr: null },
  scopeid: 0,
});

it("knows the addresses of every interface, in any spelling, and no others", () => {
  const interfaces = () =>
    ({
      one: [entry("203.0.113.9", "IPv4"), entry("fe80::1%one", "IPv6")],
      two: [entry("2001:db8:0:0:0:0:0:7", "IPv6")],
      three: undefined,
    }) as ReturnType<typeof networkInterfaces>;
  for (const own of ["203.0.113.9", "2001:db8::7", "2001:DB8:0::7", "fe80::1"]) {
    expect([own, isOwnAddress(own, interfaces)]).toEqual([own, true]);
  }
  for (const other of ["203.0.113.10", "2001:db8::8"]) expect(isOwnAddress(other, interfaces)).toBe(false);
});

it("reads this host's", () => {
  expect(isOwnAddress("127.0.0.1")).toBe(true);
  for (const { address } of Object.values(networkInterfaces()).flatMap((found) => found ?? [])) {
    expect(isOwnAddress(address.replace(/%.*/, ""))).toBe(true);
  }
});
