import { PLANS } from "@atoll/protocol/plans";
import { besideBare } from "./beside-bare.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { ownBytes } from "./own-bytes.ts";
import { timedMs } from "./statistics.ts";

/** Of a machine that nobody does anything in: how it wakes from its sealed memory, and what it takes while it sleeps. */
export async function measureSleep(options: LifecycleOptions, id: string, what: string): Promise<void> {
  const { host, add } = options;
  const directory = await host.diskDirectory(id);
  // The first time, not one of many: what was written since counts.
  await host.pauseToDisk(id);
  const asleepBytes = await ownBytes(directory);
  await host.resume(id);
  await besideBare(options, { name: `resume of a sealed ${what}`, atMost: 1.5 }, async () => {
    await host.pauseToDisk(id);
    return timedMs(() => host.resume(id));
  });
  add({
    name: `disk of a paused idle ${what}`,
    unit: "MiB",
    ours: [asleepBytes / 2 ** 20],
    reference: { name: "its RAM", samples: [PLANS.free.memoryMb] },
    goal: { atMost: 0.05, of: "ratio" },
  });
}
