import { isIP, isIPv4 } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { EgressPreset } from "@atoll/protocol/messages/egress";

/** Web, ssh, git, and the two common alternatives of the web's. Mail submission is not here on purpose: no spam. */
const OPEN_PORTS: ReadonlySet<number> = new Set([22, 80, 443, 8080, 8443, 9418]);
const PACKAGE_PORTS: ReadonlySet<number> = new Set([80, 443]);

const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

export interface EgressTarget {
  /** Lower-case name without the trailing dot, or an address literal without brackets. */
  host: string;
  isAddress: boolean;
  port: number;
}

/**
 * Names and addresses in their one plain form only: `0x7f.1`, `127.1`, `2130706433`, zones and escapes are refused, or a
 * resolver might read them as something the policy did not see.
 * @throws AtollError request.invalid
 */
export function parseTarget(host: string, port: number): EgressTarget {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  const isBracketed = bare !== host;
  const version = isIP(bare);
  if (version !== 0 && !bare.includes("%") && (!isBracketed || version === 6)) {
    return { host: bare.toLowerCase(), isAddress: true, port };
  }
  const name = host.toLowerCase().replace(/\.$/, "");
  const lastLabel = name.slice(name.lastIndexOf(".") + 1);
  // A last label of digits, or in hex, is an address to inet_aton.
  if (!DNS_NAME.test(name) || /^(?:\d+|0x[0-9a-f]*)$/.test(lastLabel) || isIPv4(name)) {
    throw new AtollError("request.invalid", "not a host name", { details: { field: "host" } });
  }
  return { host: name, isAddress: false, port };
}

/** What the preset allows before any name is resolved. Addresses are judged again, each one, after. */
export function isAllowedByPreset(
  target: EgressTarget,
  preset: EgressPreset,
  packageHosts: ReadonlySet<string>,
): boolean {
  switch (preset) {
    case "off":
      return false;
    case "packages":
      return PACKAGE_PORTS.has(target.port) && packageHosts.has(target.host);
    case "open":
      return OPEN_PORTS.has(target.port);
  }
}
