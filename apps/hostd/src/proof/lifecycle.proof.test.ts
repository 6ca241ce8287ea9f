import "./world/sim-files.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Burst, schedule } from "./commands.ts";
import { regressions } from "./regressions.ts";
import { ProofRun } from "./testing/proof-run.ts";

const RUNS = Number(process.env.PROOF_RUNS ?? 60);
/** No further schedule is begun after this long: two busy cores play a third of what two idle ones do. */
const TIME_LIMIT_MS = Number(process.env.PROOF_MS ?? 60_000);
const seed = Number(process.env.PROOF_SEED ?? Date.now() % 2 ** 31);

async function play({ seed, bursts }: { seed: number; bursts: readonly Burst[] }): Promise<void> {
  await using run = await ProofRun.start(seed);
  await run.play(bursts);
  const { violations, trace } = run.world;
  if (violations.length > 0) process.stderr.write(`${trace.slice(-40).join("\n")}\n`);
  expect(violations).toEqual([]);
}

test(`random schedules keep the invariants (PROOF_SEED=${seed})`, { timeout: 300_000 }, async () => {
  await fc.assert(fc.asyncProperty(schedule, play), {
    seed,
    numRuns: RUNS,
    interruptAfterTimeLimit: TIME_LIMIT_MS,
    // Each schedule is small; its own seed and commands repeat it exactly.
    endOnFailure: true,
  });
});

describe("schedules that once broke something", () => {
  for (const [name, found] of Object.entries(regressions))
    test(name, { timeout: 120_000 }, () => play(found));
});
