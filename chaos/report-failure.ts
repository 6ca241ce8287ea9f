/** What the system is and was doing when a cycle failed; what matters most comes last. */
import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import type { ChaosHost } from "./chaos-host.ts";
import type { HostCensus } from "./host-census.ts";
import { logTail } from "./log-tail.ts";

const LOGS = { web: 15, gateway: 15, hostd: 60 } as const;

export async function reportFailure(host: ChaosHost, census: HostCensus): Promise<string> {
  const lines: string[] = [];
  const { logs, data } = host.stack.layout;
  for (const [name, count] of Object.entries(LOGS)) {
    lines.push(`--- ${name}, seconds before now`, ...(await logTail(join(logs, `${name}.log`), count)));
  }
  const journal = join(data, "journal", "workspaces", `${host.workspaceId}.json`);
  const facts: Record<string, () => Promise<unknown>> = {
    "its record": async () => JSON.parse(await readFile(journal, "utf8")),
    "its status": () => host.status(),
    processes: async () => host.stack.pids(),
    machines: () => census.machines(),
    "leases, load": async () => [await census.leases(), loadavg().map((load) => load.toFixed(1))],
  };
  for (const [name, find] of Object.entries(facts)) {
    const found = await find().catch((cause: unknown) => String(cause));
    lines.push(`--- ${name}: ${JSON.stringify(found)}`);
  }
  lines.push("--- what was done, since the cycle began", ...host.trace.lines());
  return lines.join("\n");
}
