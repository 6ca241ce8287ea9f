import "@atoll/hostd/proof/world/sim-files";
import { schedule } from "@atoll/hostd/proof/commands";
import { ProofRun } from "@atoll/hostd/proof/testing/proof-run";
import fc from "fast-check";
import type { ChaosOptions } from "./chaos-options.ts";

/** Each burst of a schedule is a cycle. @returns how many were played @throws Error with the schedule that broke something */
export async function playFakeCycles({ seed, cycles, seconds, signal }: ChaosOptions): Promise<number> {
  const totals = new Map<string, number>();
  const endMs = performance.now() + seconds * 1000;
  let done = 0;
  for (let round = 0; done < cycles && performance.now() < endMs; round++) {
    signal.throwIfAborted();
    const [drawn] = fc.sample(schedule, { seed: seed + round, numRuns: 1 });
    if (drawn === undefined) throw new Error("no schedule was drawn");
    await using run = await ProofRun.start(drawn.seed);
    await run.play(drawn.bursts);
    for (const [name, count] of Object.entries(run.counts)) totals.set(name, (totals.get(name) ?? 0) + count);
    const { violations, trace } = run.world;
    if (violations.length > 0) {
      const schedule = JSON.stringify(drawn);
      throw new Error(
        `${violations.join("\n")}\n--seed ${seed + round}: ${schedule}\n${trace.slice(-60).join("\n")}`,
      );
    }
    done += drawn.bursts.length;
  }
  const shown = [...totals].sort(([one], [other]) => one.localeCompare(other));
  console.log(shown.map(([name, count]) => `${name} ${count}`).join(", "));
  return done;
}
