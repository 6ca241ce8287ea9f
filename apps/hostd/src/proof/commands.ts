import fc from "fast-check";

/** Numbers name a workspace, owner or checkpoint among those there are, modulo their number. */
export type Command =
  | { kind: "create"; owner: number; isDisposable: boolean }
  | { kind: "write" | "remember" | "look" | "pause" | "start" | "stop" | "erase"; at: number }
  | { kind: "checkpoint"; at: number; withMemory: boolean }
  | { kind: "restore" | "deleteCheckpoint"; at: number; checkpoint: number }
  /** From a checkpoint, or without one from the workspace as it is. */
  | { kind: "fork"; at: number; checkpoint: number | null; owner: number }
  | { kind: "eraseOwner"; owner: number }
  | { kind: "sessions" | "keepAwake"; at: number; count: number }
  | { kind: "advance"; seconds: number }
  /** Files of a checkpoint, or without one of the workspace as it lies there, through a machine that is nobody's. */
  | { kind: "view"; at: number; checkpoint: number | null }
  | { kind: "restoreFile"; at: number; checkpoint: number; file: number }
  | { kind: "makeTemplate"; at: number; checkpoint: number }
  | { kind: "forkTemplate"; template: number; owner: number }
  | { kind: "publish" | "eraseTemplate"; template: number }
  | { kind: "kill" | "suspend" | "thaw" | "damage"; at: number }
  | { kind: "halt"; at: number; isReset: boolean }
  /** The agent in the guest ends and is started again, or stands still for good. */
  | { kind: "agent"; at: number; isRestart: boolean }
  /** What guests confirm at a handshake from now on. */
  | { kind: "guests"; are: "well" | "withoutEntropy" | "hoursOff" }
  | { kind: "diskFull" | "diskBroken" | "keysDown"; isOn: boolean }
  /** From the next life on the monitor is another version. */
  | { kind: "upgrade" };

/** Commands at the same time; `crashAfter` steps into it hostd is killed. */
export interface Burst {
  commands: Command[];
  crashAfter: number | undefined;
  /** With hostd go all machines: the host itself went down. */
  takesAll?: boolean;
  /** The next life is killed as well, so many steps into its recovery. */
  crashAgainAfter: number | undefined;
  /** Hostd stands still so many steps into it, another one takes over, and the first one goes on. */
  freezeAfter: number | undefined;
  /** Without a crash: hostd ends in order and is started again. */
  drains: boolean;
  /** Afterwards everything is repaired and every workspace looked at; `whole`: nothing can have cost it its memory. */
  looks?: "told" | "whole";
}

const at = fc.nat(3);
const owner = fc.nat(1);
const checkpoint = fc.nat(3);

const ofOne = (kinds: readonly (Command & { at: number })["kind"][]) =>
  fc.record({ kind: fc.constantFrom(...kinds), at }) as fc.Arbitrary<Command>;

const guests = fc.constantFrom("well" as const, "withoutEntropy" as const, "hoursOff" as const);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      owner,
      isDisposable: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
  },
  { weight: 6, arbitrary: ofOne(["write", "write", "remember", "look"]) },
  { weight: 6, arbitrary: ofOne(["pause", "pause", "start", "start", "stop"]) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("checkpoint" as const), at, withMemory: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restore" as const), at, checkpoint }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("deleteCheckpoint" as const), at, checkpoint }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fork" as const),
      at,
      checkpoint: fc.option(checkpoint, { nil: null }),
      owner,
    }),
  },
  { weight: 1, arbitrary: ofOne(["erase"]) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("eraseOwner" as const), owner }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("sessions" as const, "keepAwake" as const),
      at,
      count: fc.nat(2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      seconds: fc.constantFrom(1, 60, 700, 4000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("view" as const),
      at,
      checkpoint: fc.option(checkpoint, { nil: null, freq: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("restoreFile" as const), at, checkpoint, file: fc.nat(7) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("makeTemplate" as const), at, checkpoint }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("forkTemplate" as const), template: fc.nat(1), owner }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("publish" as const, "publish" as const, "eraseTemplate" as const),
      template: fc.nat(1),
    }),
  },
  { weight: 3, arbitrary: ofOne(["kill", "suspend", "thaw", "damage"]) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({ kind: fc.constant("halt" as const), at, isReset: fc.boolean() }),
      fc.record({ kind: fc.constant("agent" as const), at, isRestart: fc.boolean() }),
      fc.record({
        kind: fc.constant("guests" as const),
        are: guests,
      }),
      fc.constant({ kind: "upgrade" as const }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("diskFull" as const, "diskBroken" as const, "keysDown" as const),
      isOn: fc.boolean(),
    }),
  },
);

const steps = fc.oneof(fc.nat(12), fc.nat(80), fc.nat(300));

/** Trouble and what meets it, at the same time in one place. */
const meeting: fc.Arbitrary<Command[]> = fc
  .record({
    at,
    trouble: fc.oneof(
      ofOne(["suspend", "suspend", "kill", "damage"]),
      fc.record({ kind: fc.constant("agent" as const), at, isRestart: fc.boolean() }),
      fc.record({ kind: fc.constant("guests" as const), are: guests }),
    ),
    meets: ofOne(["pause", "start", "stop", "stop", "erase"]),
  })
  .map((met) => [met.trouble, met.meets].map((one) => ("at" in one ? { ...one, at: met.at } : one)));

const burst: fc.Arbitrary<Burst> = fc.record({
  commands: fc.oneof(
    { weight: 4, arbitrary: fc.array(command, { minLength: 1, maxLength: 4 }) },
    { weight: 1, arbitrary: meeting },
  ),
  crashAfter: fc.option(steps, { nil: undefined, freq: 2 }),
  takesAll: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  crashAgainAfter: fc.option(steps, { nil: undefined, freq: 4 }),
  freezeAfter: fc.option(steps, { nil: undefined, freq: 3 }),
  drains: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
});

export const calm = (commands: Command[]): Burst => ({
  commands,
  crashAfter: undefined,
  crashAgainAfter: undefined,
  freezeAfter: undefined,
  drains: false,
});
export const BEGINNING: readonly Burst[] = [
  calm([{ kind: "create", owner: 0, isDisposable: false }]),
  calm([
    { kind: "write", at: 0 },
    { kind: "remember", at: 0 },
  ]),
];
/** Something to look back at: without it most schedules end before a checkpoint meets whoever wants it. */
const HISTORY: readonly Burst[] = [
  calm([{ kind: "checkpoint", at: 0, withMemory: true }]),
  calm([
    { kind: "write", at: 0 },
    { kind: "makeTemplate", at: 0, checkpoint: 0 },
  ]),
];
/** Memory on the disk, and a host that ends while it is being taken up again: it may be used once. */
const interruptedResume: fc.Arbitrary<Burst[]> = fc
  .record({ crashAfter: fc.integer({ min: 20, max: 80 }), takesAll: fc.boolean() })
  .map((crash) => [
    calm([{ kind: "pause", at: 0 }]),
    calm([{ kind: "advance", seconds: 60 }]),
    { ...calm([{ kind: "start", at: 0 }]), ...crash },
  ]);

/** Begins with a workspace that has something to lose. */
export const schedule: fc.Arbitrary<{ seed: number; bursts: Burst[] }> = fc
  .record({
    seed: fc.nat(2 ** 31),
    history: fc.oneof(fc.constant([]), fc.constant(HISTORY), interruptedResume),
    bursts: fc.array(burst, { minLength: 1, maxLength: 12, size: "max" }),
  })
  .map(({ seed, history, bursts }) => ({ seed, bursts: [...BEGINNING, ...history, ...bursts] }));
