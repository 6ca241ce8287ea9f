import "./world/sim-files.ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { schedule } from "./commands.ts";
import { ProofRun } from "./proof-run.ts";

const RUNS = Number(process.env.PROOF_RUNS ?? 60);
const seed = Number(process.env.PROOF_SEED ?? Date.now() % 2 ** 31);

test(`random schedules keep the invariants (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async ({ seed, bursts }) => {
      await using run = await ProofRun.start(seed);
      await run.play(bursts);
      const { violations, trace } = run.world;
      if (violations.length > 0 && process.env.PROOF_TRACE !== undefined)
        process.stderr.write(`${trace.join("\n")}\n`);
      expect(violations).toEqual([]);
    }),
    { seed, numRuns: RUNS, endOnFailure: process.env.PROOF_SHRINK === undefined },
  );
});
