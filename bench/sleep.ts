import { PLANS } from "@atoll/protocol/plans";
import { bareRestore } from "./b0.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { ownBytes } from "./own-bytes.ts";
import { interleaved, timedMs } from "./statistics.ts";

/** Of a machine that nobody does anything in: how it wakes from its sealed memory, and what it takes while it sleeps. */
export async function measureSleep(
  { host, bare, add, pairs, warmups }: LifecycleOptions,
  id: string,
  what: string,
): Promise<void> {
  const directory = await host.diskDirectory(id);
  // The first time, not one of many: what was written since counts.
  await host.pauseToDisk(id);
  const asleepBytes = await ownBytes(directory);
  await host.resume(id);
  const samples = await interleaved(
    pairs,
    warmups,
    async () => {
      await host.pauseToDisk(id);
      return timedMs(() => host.resume(id));
    },
    () => bareRestore(bare),
  );
  add({
    name: `resume of a sealed ${what}`,
    unit: "ms",
    ours: samples.ours,
    reference: { name: "bare restore", samples: samples.reference },
    goal: { atMost: 1.5, of: "ratio" },
  });
  add({
    name: `disk of a paused idle ${what}`,
    unit: "MiB",
    ours: [asleepBytes / 2 ** 20],
    reference: { name: "its RAM", samples: [PLANS.free.memoryMb] },
    goal: { atMost: 0.05, of: "ratio" },
  });
}
