import { BlockList, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/**
 * Whether an address is one of this host's interfaces, asked anew each time: they come and go. A connection to one never
 * leaves the host, so it would pass a firewall that trusts what comes from inside.
 */
export function isOwnAddress(
  address: string,
  interfaces: () => ReturnType<typeof networkInterfaces> = networkInterfaces,
): boolean {
  const own = new BlockList();
  for (const found of Object.values(interfaces()).flatMap((entries) => entries ?? [])) {
    own.addAddress(found.address.replace(/%.*/, ""), found.family === "IPv6" ? "ipv6" : "ipv4");
  }
  return own.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
