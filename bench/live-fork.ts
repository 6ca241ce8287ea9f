import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { bareRestore } from "./b0.ts";
import type { BenchHost } from "./bench-host.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { interleaved, timedMs } from "./statistics.ts";

export function liveFork(host: BenchHost, source: string, id: string): Promise<string> {
  return host.create({ origin: { kind: "workspace", workspaceId: source } }, id);
}

/** Of a machine that runs. */
export async function measureLiveFork(
  { host, bare, add, pairs, warmups }: LifecycleOptions,
  source: string,
  what: string,
): Promise<void> {
  /** As it is when people fork, seconds apart at least: the host's work for the next one is not the reference's. */
  const waits = async (count: number) => {
    while ((await host.forksReady()) < count) await delay(200);
  };
  const first = await liveFork(host, source, randomUUID());
  await host.delete(first);
  // From this one on, one of its kind is among them.
  const count = (await host.forksReady()) + 1;
  await waits(count);
  const samples = await interleaved(
    pairs,
    warmups,
    async () => {
      const id = randomUUID();
      const ms = await timedMs(() => liveFork(host, source, id));
      await host.delete(id);
      await waits(count);
      return ms;
    },
    () => bareRestore(bare),
  );
  add({
    name: `${what} to first answer`,
    unit: "ms",
    ours: samples.ours,
    reference: { name: "bare restore", samples: samples.reference },
    goal: { atMost: 1.2, of: "ratio" },
  });
}
