import { describe, expect, it } from "vitest";
import { isPublicAddress } from "./address-ranges.ts";

/** Each refused range with its first and last address, and the public ones right beside it. */
const EDGES: Array<{ refused: string[]; allowed: string[] }> = [
  { refused: ["0.0.0.0", "0.255.255.255"], allowed: ["1.0.0.0"] },
  { refused: ["10.0.0.0", "10.255.255.255"], allowed: ["9.255.255.255", "11.0.0.0"] },
  {
    refused: ["100.64.0.0", "100.127.255.255", "100.100.100.200"],
    allowed: ["100.63.255.255", "100.128.0.0"],
  },
  { refused: ["127.0.0.0", "127.0.0.1", "127.255.255.255"], allowed: ["126.255.255.255", "128.0.0.0"] },
  {
    refused: ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
    allowed: ["169.253.255.255", "169.255.0.0"],
  },
  { refused: ["168.63.129.16"], allowed: ["168.63.129.15", "168.63.129.17"] },
  { refused: ["172.16.0.0", "172.31.255.255"], allowed: ["172.15.255.255", "172.32.0.0"] },
  { refused: ["192.0.0.0", "192.0.0.255"], allowed: ["191.255.255.255", "192.0.1.0"] },
  { refused: ["192.88.99.0", "192.88.99.255"], allowed: ["192.88.98.255", "192.88.100.0"] },
  { refused: ["192.168.0.0", "192.168.255.255"], allowed: ["192.167.255.255", "192.169.0.0"] },
  { refused: ["198.18.0.0", "198.19.255.255"], allowed: ["198.17.255.255", "198.20.0.0"] },
  { refused: ["224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255"], allowed: ["223.255.255.255"] },
  // Documentation networks are left open on purpose.
  { refused: [], allowed: ["192.0.2.1", "198.51.100.1", "203.0.113.10", "2001:db8::1"] },
  { refused: ["::", "::1"], allowed: [] },
  { refused: ["::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:7f00:1", "::127.0.0.1"], allowed: [] },
  { refused: ["64:ff9b::", "64:ff9b::a9fe:a9fe", "64:ff9b::ffff:ffff", "64:ff9b:1::1"], allowed: [] },
  { refused: ["fc00::", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], allowed: [] },
  { refused: ["fe80::", "fe80::1", "febf:ffff::1", "fec0::1", "ff02::1", "ffff::1"], allowed: [] },
  { refused: ["2002::", "2002:a00:1::1", "2002:ffff::1"], allowed: ["2001:ffff::1", "2003::1"] },
  { refused: ["2001::1", "2001:0:ffff::1"], allowed: ["2001:1::1", "2000::1"] },
  {
    refused: ["2001:2::1", "2001:10::1", "2001:1f::1", "2001:20::1", "2001:2f::1"],
    allowed: ["2001:2:1::1", "2001:30::1"],
  },
  { refused: ["1fff::1", "4000::1", "100::1"], allowed: ["2606:4700::1111", "3fff:1::1"] },
  {
    refused: [
      "",
      "localhost",
      "127.1",
      "0x7f000001",
      "2130706433",
      "010.0.0.1",
      "2606:4700::1%eth0",
      "1.2.3.4:80",
    ],
    allowed: ["8.8.8.8"],
  },
];

describe("isPublicAddress", () => {
  it.each(EDGES.flatMap(({ refused }) => refused))("refuses %s", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
  it.each(EDGES.flatMap(({ allowed }) => allowed))("allows %s", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});
