/**
 * Which addresses a guest may be connected to: the public internet only. Documentation networks stay reachable on
 * purpose: an operator's mirrors may live on addresses that are public nowhere else.
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";

const REFUSED_V4: ReadonlyArray<readonly [string, number]> = [
  ["0.0.0.0", 8], // "this network", unspecified
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // carrier NAT; clouds put metadata there
  ["127.0.0.0", 8],
  ["168.63.129.16", 32], // a cloud's own services, metadata among them
  ["169.254.0.0", 16], // link-local, metadata
  ["172.16.0.0", 12],
  ["192.0.0.0", 24], // protocol assignments
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16],
  ["198.18.0.0", 15], // benchmarking
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, broadcast
];

/** Everything outside 2000::/3 is refused before this list is asked. */
const REFUSED_V6: ReadonlyArray<readonly [string, number]> = [
  ["2001::", 32], // Teredo
  ["2001:2::", 48], // benchmarking
  ["2001:10::", 28], // ORCHID
  ["2001:20::", 28],
  ["2002::", 16], // 6to4 carries a v4 address
];

const refusedV4 = new BlockList();
for (const [network, bits] of REFUSED_V4) refusedV4.addSubnet(network, bits, "ipv4");
const refusedV6 = new BlockList();
for (const [network, bits] of REFUSED_V6) refusedV6.addSubnet(network, bits, "ipv6");
const globalV6 = new BlockList();
globalV6.addSubnet("2000::", 3, "ipv6");
const wellKnownNat64 = new BlockList();
wellKnownNat64.addSubnet("64:ff9b::", 96, "ipv6");

/** False for whatever is not an address, too. `::ffff:0:0/96`, NAT64 and all other v6 outside 2000::/3 are refused. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !refusedV4.check(address, "ipv4");
  // A zone (`fe80::1%eth0`) names an interface of this host.
  if (!isIPv6(address) || address.includes("%")) return false;
  // Asked by our own prefixes: BlockList would match a mapped v4 address against v4 rules only.
  return (
    globalV6.check(address, "ipv6") &&
    !refusedV6.check(address, "ipv6") &&
    !wellKnownNat64.check(address, "ipv6")
  );
}
