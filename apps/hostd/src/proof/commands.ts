import fc from "fast-check";

/** Indexes name a workspace, owner or checkpoint among those there are, modulo their number. */
export type Command =
  | { kind: "create"; owner: number }
  | { kind: "write" | "remember" | "pause" | "start" | "stop" | "erase" | "look"; at: number }
  | { kind: "eraseOwner"; owner: number }
  | { kind: "sessions"; at: number; count: number }
  | { kind: "advance"; seconds: number }
  | { kind: "kill" | "suspend" | "damage"; at: number }
  | { kind: "diskFull" | "keysDown"; isOn: boolean };

/** Commands at the same time; `crashAfter` steps into it hostd is killed. */
export interface Burst {
  commands: Command[];
  crashAfter: number | undefined;
  /** The next life is killed as well, so many steps into its recovery. */
  crashAgainAfter: number | undefined;
}

const at = fc.nat(3);
const owner = fc.nat(1);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("create" as const), owner }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom("write", "write", "remember", "pause", "pause", "start", "start", "look", "stop"),
      at,
    }) as fc.Arbitrary<Command>,
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("erase" as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("eraseOwner" as const), owner }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sessions" as const), at, count: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      seconds: fc.constantFrom(1, 60, 700, 90_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("kill" as const, "suspend" as const, "damage" as const),
      at,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("diskFull" as const, "keysDown" as const),
      isOn: fc.boolean(),
    }),
  },
);

const steps = fc.oneof(fc.nat(12), fc.nat(80), fc.nat(300));

export const burst: fc.Arbitrary<Burst> = fc.record({
  commands: fc.array(command, { minLength: 1, maxLength: 4 }),
  crashAfter: fc.option(steps, { nil: undefined, freq: 2 }),
  crashAgainAfter: fc.option(steps, { nil: undefined, freq: 4 }),
});

export const schedule: fc.Arbitrary<{ seed: number; bursts: Burst[] }> = fc.record({
  seed: fc.nat(2 ** 31),
  bursts: fc.array(burst, { minLength: 1, maxLength: 12, size: "max" }),
});
