/** Cycles of pause and resume as commands for the simulated world: something is saved, it leaves and returns, it is looked at. */
import type { Burst, Command } from "@atoll/hostd/proof/commands";
import type { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";

const AT = { at: 0 } as const;
const START: Command = { kind: "start", ...AT };
const PAUSE: Command = { kind: "pause", ...AT };
const WRITE: Command = { kind: "write", ...AT };
const advance = (seconds: number): Command => ({ kind: "advance", seconds });

/** Commands of one burst happen at the same time; one burst after the other. */
type Path = readonly (readonly Command[])[];

/** The simulated host's grace time is a minute, its idle time ten. */
const pathsWith = (checkpoint: number): Record<string, Path> => ({
  grace: [[PAUSE, START]],
  sealed: [[PAUSE], [advance(70)], [START]],
  "return while it is sealed": [[PAUSE], [advance(60), START]],
  tabs: [[PAUSE], [START, START, START]],
  "tabs once sealed": [[PAUSE], [advance(70)], [START, START, START]],
  "two pauses at once": [[PAUSE, PAUSE], [START]],
  idle: [[advance(700)], [START]],
  "return as the idle time ends": [[advance(598)], [advance(2), START, WRITE]],
  retention: [[PAUSE], [advance(1600)], [START]],
  stop: [[{ kind: "stop", ...AT }], [START]],
  drain: [],
  restore: [
    [{ kind: "checkpoint", ...AT, withMemory: true }],
    [WRITE],
    [{ kind: "restore", ...AT, checkpoint }],
    [{ kind: "deleteCheckpoint", ...AT, checkpoint }, START],
  ],
  "checkpoint while it leaves": [[PAUSE, { kind: "checkpoint", ...AT, withMemory: true }], [START]],
});
/** Paths that leave a checkpoint in the model's list. */
const WITH_CHECKPOINT = new Set(["restore", "checkpoint while it leaves"]);

const FAULTS: Record<string, readonly Command[]> = {
  "the machine is killed": [{ kind: "kill", ...AT }],
  "the machine is stopped": [{ kind: "suspend", ...AT }],
  "the machine stalls": [
    { kind: "suspend", ...AT },
    { kind: "thaw", ...AT },
  ],
  "the guest halts": [{ kind: "halt", ...AT, isReset: false }],
  "the guest resets": [{ kind: "halt", ...AT, isReset: true }],
  "the agent is killed": [{ kind: "agent", ...AT, isRestart: true }],
  "the agent freezes": [{ kind: "agent", ...AT, isRestart: false }],
  "the snapshot is damaged": [{ kind: "damage", ...AT }],
  "the disk is full": [{ kind: "diskFull", isOn: true }],
  "the disk is broken": [{ kind: "diskBroken", isOn: true }],
  "the keys are away": [{ kind: "keysDown", isOn: true }],
};
const HOSTD_FAULTS = [
  "hostd is killed",
  "hostd is killed twice",
  "hostd stands still",
  "the host ends",
] as const;
const NOTHING = "nothing";
/** One in so many cycles is left alone: those must keep their memory. */
const UNHARMED_EVERY = 4;
/** Paths on which memory is given up. */
const WITHOUT_MEMORY = new Set(["stop", "retention"]);
/** Early, in the middle, and further than most operations have steps. */
const STEPS_MAX = [12, 50, 200] as const;

export interface FakeCycle {
  path: string;
  fault: string;
  bursts: Burst[];
}

/** So many cycles for one fresh world, the first burst making the workspace. */
export function planFakeCycles(random: SeededRandom, count: number): { start: Burst; cycles: FakeCycle[] } {
  let checkpoints = 0;
  const cycles = Array.from({ length: count }, () => {
    const paths = pathsWith(checkpoints);
    const path = random.pick(Object.keys(paths));
    if (WITH_CHECKPOINT.has(path)) checkpoints += 1;
    const names = [...Object.keys(FAULTS), ...HOSTD_FAULTS, ...HOSTD_FAULTS];
    const fault = random.below(UNHARMED_EVERY) === 0 ? NOTHING : random.pick(names);
    const leaving = (paths[path] ?? []).map((commands) => burst(commands));
    if (path === "drain") leaving.push({ ...burst([advance(1)]), drains: true });
    const harmed = harm(leaving, fault, random);
    const saving = burst([WRITE, { kind: "remember", ...AT }]);
    const looks: Burst["looks"] = fault === NOTHING && !WITHOUT_MEMORY.has(path) ? "whole" : "told";
    return { path, fault, bursts: [saving, ...harmed, { ...burst([advance(1)]), looks }] };
  });
  return { start: burst([{ kind: "create", owner: 0, isDisposable: false }]), cycles };
}

/** At one of the bursts, whichever the seed says. */
function harm(bursts: readonly Burst[], fault: string, random: SeededRandom): Burst[] {
  const at = random.below(bursts.length);
  const steps = random.below(random.pick(STEPS_MAX));
  const again = random.below(random.pick(STEPS_MAX));
  return bursts.map((one, index) => {
    if (index !== at || fault === NOTHING) return one;
    const commands = FAULTS[fault];
    if (commands !== undefined) return { ...one, commands: [...one.commands, ...commands] };
    if (fault === "hostd stands still") return { ...one, freezeAfter: steps };
    return {
      ...one,
      crashAfter: steps,
      crashAgainAfter: fault === "hostd is killed twice" ? again : undefined,
      takesAll: fault === "the host ends",
    };
  });
}

const burst = (commands: readonly Command[]): Burst => ({
  commands: [...commands],
  crashAfter: undefined,
  crashAgainAfter: undefined,
  freezeAfter: undefined,
  drains: false,
});
