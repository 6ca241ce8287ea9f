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
  | { kind: "kill" | "suspend" | "damage"; at: number }
  | { kind: "diskFull" | "keysDown"; isOn: boolean };

/** Commands at the same time; `crashAfter` steps into it hostd is killed. */
export interface Burst {
  commands: Command[];
  crashAfter: number | undefined;
  /** The next life is killed as well, so many steps into its recovery. */
  crashAgainAfter: number | undefined;
  /** Hostd stands still so many steps into it, another one takes over, and the first one goes on. */
  freezeAfter: number | undefined;
  /** Without a crash: hostd ends in order and is started again. */
  drains: boolean;
}

const at = fc.nat(3);
const owner = fc.nat(1);
const checkpoint = fc.nat(3);

const ofOne = (kinds: readonly (Command & { at: number })["kind"][]) =>
  fc.record({ kind: fc.constantFrom(...kinds), at }) as fc.Arbitrary<Command>;

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
  { weight: 2, arbitrary: ofOne(["kill", "suspend", "damage"]) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("diskFull" as const, "keysDown" as const),
      isOn: fc.boolean(),
    }),
  },
);

const steps = fc.oneof(fc.nat(12), fc.nat(80), fc.nat(300));

const burst: fc.Arbitrary<Burst> = fc.record({
  commands: fc.array(command, { minLength: 1, maxLength: 4 }),
  crashAfter: fc.option(steps, { nil: undefined, freq: 2 }),
  crashAgainAfter: fc.option(steps, { nil: undefined, freq: 4 }),
  freezeAfter: fc.constant(undefined),
  drains: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
});

/** Begins with a workspace that has something to lose. */
export const schedule: fc.Arbitrary<{ seed: number; bursts: Burst[] }> = fc
  .record({
    seed: fc.nat(2 ** 31),
    bursts: fc.array(burst, { minLength: 1, maxLength: 12, size: "max" }),
  })
  .map(({ seed, bursts }) => ({ seed, bursts: [...BEGINNING, ...bursts] }));

const calm = (commands: Command[]): Burst => ({
  commands,
  crashAfter: undefined,
  crashAgainAfter: undefined,
  freezeAfter: undefined,
  drains: false,
});
const BEGINNING: readonly Burst[] = [
  calm([{ kind: "create", owner: 0, isDisposable: false }]),
  calm([
    { kind: "write", at: 0 },
    { kind: "remember", at: 0 },
  ]),
];
