import type { LookupAddress } from "node:dns";
import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";

/** Resolves with all addresses of a name; rejects when it has none, and with the signal's reason when it is aborted. */
export type ResolveHost = (host: string, signal: AbortSignal) => Promise<LookupAddress[]>;

export interface HostResolverOptions {
  /** This host's own list of names, which comes before any server. */
  hostsPath?: string;
  /** Default: those of this host's configuration. */
  servers?: readonly string[];
}

const QUERY_TIMEOUT_MS = 2500;
const QUERY_TRIES = 3;

/**
 * Asks name servers itself. `getaddrinfo` runs on the few threads that also do this process's file operations, and cannot
 * be cancelled: a guest that looks up names of a server that never answers would hold everybody up.
 */
export function hostResolver(options: HostResolverOptions = {}): ResolveHost {
  const { hostsPath = "/etc/hosts", servers } = options;
  return async (host, signal) => {
    const listed = addressesIn(await readFile(hostsPath, "utf8").catch(() => ""), host);
    signal.throwIfAborted();
    if (listed.length > 0) return listed;
    // One of its own for each look-up: what is cancelled is this one.
    const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
    if (servers !== undefined) resolver.setServers(servers);
    const onAbort = () => resolver.cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      signal.throwIfAborted();
      if (v4.status === "rejected" && v6.status === "rejected") throw v4.reason;
      return [...found(v4, 4), ...found(v6, 6)];
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };
}

function found(answer: PromiseSettledResult<string[]>, family: 4 | 6): LookupAddress[] {
  return answer.status === "fulfilled" ? answer.value.map((address) => ({ address, family })) : [];
}

/** As hosts(5) has it: an address, then its names, up to a comment. */
function addressesIn(hostsFile: string, host: string): LookupAddress[] {
  const listed: LookupAddress[] = [];
  for (const line of hostsFile.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const family = isIP(address);
    if (family !== 0 && names.some((name) => name.toLowerCase() === host)) listed.push({ address, family });
  }
  return listed.sort((a, b) => a.family - b.family);
}
