/**
 * The invariants of reliability over random schedules of commands, kills, freezes and faults, against the real registry,
 * machine source, key store, journal and lease in a simulated world. Where each is checked:
 *
 * | | what | where, and when |
 * |---|---|---|
 * | I1 | one writer per disk | world/sim-host: at each launch no other process has the disk open, at each write nobody else has the written layer; testing/proof-run: a hostd that lost its lease has ended |
 * | I2 | memory resumes once, over its own disk | world/sim-host: at each start of loaded memory; over all machines after each burst |
 * | I3 | what was saved is there | model `diskSeen`: every workspace at the end, before and after a restart; each checkpoint restored; each view and template when it answers |
 * | I4 | old or new after a crash | kills before any step of a file operation; proof-host: no record is unreadable, and the end finds one of the states the model allows (power cuts: the crash tests of packages/durable's users) |
 * | I5 | nothing is left over | testing/final-look `#checkLeftovers`: disks, processes, temporary files against records and pool |
 * | I6 | twice is once | testing/final-look `#checkRepeats`, `#checkCheckpoint`; testing/proof-stage `erased` |
 * | I7 | nothing lies readable | world/sim-world `checkWritten`: at each write of a file outside the memory-backed scratch; proof-host: at each line of the log |
 * | I8 | erased data opens with nothing | testing/final-look `#checkKeys`: keys stolen with the disks before an erasure, tried against every key that is left |
 * | I9 | no use after the tombstone | testing/final-look `#checkKeys`, `#lookAtErased`: key store, start, view, listing, create of the same id |
 * | I10 | others stay readable | testing/final-look `#checkKeys`, and I3 of all that were not erased |
 * | I11 | an erasure attests the key of the creation | testing/proof-stage `erased`, at each answer (signing and verifying: packages/receipt) |
 * | I12 | running only with fresh entropy and the time | world/sim-host `checkRunning`, each time a workspace comes to run; guests refuse entropy or are hours off in some schedules |
 * | I13 | no two machines share a secret | world/sim-host `checkIdentities`: entropy, machine ids and link tokens after each burst |
 * | I25 | disposables end in time | testing/final-look `#checkExpiry` |
 */
import "./world/sim-files.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BEGINNING, type Burst, type Command, calm, schedule } from "./commands.ts";
import { regressions } from "./regressions.ts";
import { ProofRun } from "./testing/proof-run.ts";

const RUNS = Number(process.env.PROOF_RUNS ?? 60);
/** So many are played however long it takes. */
const RUNS_MIN = 20;
/** No further schedule is begun after this long: two busy cores play a third of what two idle ones do. */
const TIME_LIMIT_MS = Number(process.env.PROOF_MS ?? 90_000);
const seed = Number(process.env.PROOF_SEED ?? Date.now() % 2 ** 31);

/** What is walked through, and how many steps are taken at a time: fewer than the shortest window that matters has. */
const WALKS: Record<string, { before: Command[][]; command: Command; stride: number }> = {
  "taking up memory from the disk": {
    before: [[{ kind: "pause", at: 0 }], [{ kind: "advance", seconds: 60 }]],
    command: { kind: "start", at: 0 },
    stride: 4,
  },
  "a pause and its sealing": {
    before: [[{ kind: "pause", at: 0 }]],
    command: { kind: "advance", seconds: 60 },
    stride: 9,
  },
  "a restore": {
    before: [[{ kind: "checkpoint", at: 0, withMemory: true }], [{ kind: "write", at: 0 }]],
    command: { kind: "restore", at: 0, checkpoint: 0 },
    stride: 15,
  },
  "an erasure": { before: [], command: { kind: "erase", at: 0 }, stride: 9 },
};
const WALK_MAX = 600;

async function play({ seed, bursts }: { seed: number; bursts: readonly Burst[] }) {
  await using run = await ProofRun.start(seed);
  await run.play(bursts);
  const { violations, trace } = run.world;
  if (violations.length > 0) process.stderr.write(`${trace.slice(-40).join("\n")}\n`);
  expect(violations).toEqual([]);
  return run.counts;
}

// Each schedule is small; its own seed and commands repeat it exactly.
const endOnFailure = true;

test(`random schedules keep the invariants (PROOF_SEED=${seed})`, { timeout: 600_000 }, async () => {
  const property = fc.asyncProperty(schedule, async (one) => void (await play(one)));
  const startedAtMs = performance.now();
  await fc.assert(property, { seed, numRuns: Math.min(RUNS, RUNS_MIN), endOnFailure });
  const leftMs = TIME_LIMIT_MS - (performance.now() - startedAtMs);
  if (RUNS <= RUNS_MIN || leftMs <= 0) return;
  const more = { seed: seed + 1, numRuns: RUNS - RUNS_MIN, interruptAfterTimeLimit: leftMs };
  await fc.assert(property, { ...more, endOnFailure });
});

describe("the host goes down at any step of", () => {
  for (const [name, { before, command, stride }] of Object.entries(WALKS)) {
    test(name, { timeout: 300_000 }, async () => {
      let isReached = true;
      for (let crashAfter = seed % stride; isReached && crashAfter < WALK_MAX; crashAfter += stride) {
        const bursts = [
          ...BEGINNING,
          ...before.map(calm),
          { ...calm([command]), crashAfter, takesAll: true },
        ];
        const counts = await play({ seed, bursts });
        isReached = "crash of the host" in counts;
      }
      expect(isReached).toBe(false);
    });
  }
});

describe("a guest that confirms no fresh start comes to run in no way", () => {
  for (const are of ["withoutEntropy", "hoursOff"] as const) {
    test(are, { timeout: 120_000 }, async () => {
      const prepared: Command[][] = [
        [{ kind: "checkpoint", at: 0, withMemory: true }],
        [{ kind: "create", owner: 1, isDisposable: false }],
        [{ kind: "stop", at: 1 }],
        [{ kind: "pause", at: 0 }],
        [{ kind: "guests", are }],
      ];
      const starts: Command[] = [
        { kind: "start", at: 0 },
        { kind: "start", at: 1 },
        { kind: "create", owner: 0, isDisposable: false },
        { kind: "fork", at: 0, checkpoint: 0, owner: 0 },
        { kind: "restore", at: 0, checkpoint: 0 },
      ];
      const counts = await play({
        seed,
        bursts: [...BEGINNING, ...prepared.map(calm), ...starts.map((start) => calm([start]))],
      });
      expect(counts).toMatchObject({ "start: link.protocol": 2, "create: link.protocol": 1 });
    });
  }
});

describe("schedules that once broke something", () => {
  for (const [name, found] of Object.entries(regressions))
    test(name, { timeout: 120_000 }, async () => void (await play(found)));
});
