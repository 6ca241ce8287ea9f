import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { BenchHost } from "./bench-host.ts";
import { besideBare } from "./beside-bare.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { timedMs } from "./statistics.ts";

export function liveFork(host: BenchHost, source: string, id: string): Promise<string> {
  return host.create({ origin: { kind: "workspace", workspaceId: source } }, id);
}

/** Of a machine that runs. */
export async function measureLiveFork(
  options: LifecycleOptions,
  source: string,
  what: string,
): Promise<void> {
  const { host } = options;
  /** As it is when people fork, seconds apart at least: the host's work for the next one is not the reference's. */
  const waits = async (count: number) => {
    while ((await host.forksReady()) < count) await delay(200);
  };
  const first = await liveFork(host, source, randomUUID());
  await host.delete(first);
  // From this one on, one of its kind is among them.
  const count = (await host.forksReady()) + 1;
  await waits(count);
  await besideBare(options, { name: `${what} to first answer`, atMost: 1.2 }, async () => {
    const id = randomUUID();
    const ms = await timedMs(() => liveFork(host, source, id));
    await host.delete(id);
    await waits(count);
    return ms;
  });
}
