import "@atoll/hostd/proof/world/sim-files";
import { ProofRun } from "@atoll/hostd/proof/testing/proof-run";
import { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";
import type { ChaosOptions } from "./chaos-options.ts";
import { planFakeCycles } from "./fake-plan.ts";

/** In one world after another, each of its own seed: what one cycle leaves behind the next one meets. */
const CYCLES_PER_WORLD = 10;

/** @returns how many were played @throws Error with the cycles that broke something */
export async function playFakeCycles({ seed, cycles, seconds, signal }: ChaosOptions): Promise<number> {
  const totals = new Map<string, number>();
  const endMs = performance.now() + seconds * 1000;
  let done = 0;
  for (let round = 0; done < cycles && performance.now() < endMs; round++) {
    signal.throwIfAborted();
    const worldSeed = seed + round;
    const count = Math.min(CYCLES_PER_WORLD, cycles - done);
    const plan = planFakeCycles(new SeededRandom(worldSeed), count);
    await using run = await ProofRun.start(worldSeed);
    await run.play([plan.start, ...plan.cycles.flatMap(({ bursts }) => bursts)]);
    const told = { ...run.counts };
    for (const { path, fault } of plan.cycles) {
      for (const name of [`path: ${path}`, `fault: ${fault}`]) told[name] = (told[name] ?? 0) + 1;
    }
    for (const [name, times] of Object.entries(told)) totals.set(name, (totals.get(name) ?? 0) + times);
    const { violations, trace } = run.world;
    if (violations.length > 0) {
      const names = plan.cycles.map(({ path, fault }) => `${path}, ${fault}`).join("; ");
      const where = `--seed ${worldSeed} --cycles ${count}`;
      throw new Error(`${violations.join("\n")}\n${where}: ${names}\n${trace.slice(-80).join("\n")}`);
    }
    done += count;
  }
  const shown = [...totals].sort(([one], [other]) => one.localeCompare(other));
  console.log(shown.map(([name, times]) => `${name} ${times}`).join(", "));
  return done;
}
