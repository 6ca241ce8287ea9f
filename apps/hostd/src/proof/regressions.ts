import type { Burst, Command } from "./commands.ts";

const burst = (commands: Command[], crashAfter?: number, crashAgainAfter?: number): Burst => ({
  commands,
  crashAfter,
  crashAgainAfter,
  freezeAfter: undefined,
  drains: false,
});

/** Schedules that found something, shortened to what they need, with the seed they found it under. */
export const regressions: Record<string, { seed: number; bursts: Burst[] }> = {
  "a view that waits behind a restore, which waits for that view to end": {
    seed: 945312746,
    bursts: [
      burst([{ kind: "create", owner: 0, isDisposable: false }]),
      burst([
        { kind: "write", at: 0 },
        { kind: "remember", at: 0 },
      ]),
      burst([{ kind: "forkTemplate", template: 0, owner: 0 }], 12, 10),
      burst([
        { kind: "remember", at: 1 },
        { kind: "view", at: 0, checkpoint: null },
        { kind: "restore", at: 2, checkpoint: 1 },
        { kind: "checkpoint", at: 1, withMemory: true },
      ]),
    ],
  },
  "a stop meets a first start that never got under way": {
    seed: 1798841853,
    bursts: [
      burst([{ kind: "create", owner: 0, isDisposable: false }]),
      burst(
        [
          { kind: "create", owner: 1, isDisposable: false },
          { kind: "stop", at: 1 },
        ],
        66,
        2,
      ),
      burst([{ kind: "stop", at: 1 }]),
    ],
  },
  "hostd dies while pausing, and its machine answers nothing at the next start": {
    seed: 783052321,
    bursts: [
      burst([{ kind: "create", owner: 0, isDisposable: false }]),
      burst(
        [
          { kind: "suspend", at: 0 },
          { kind: "pause", at: 0 },
        ],
        21,
        85,
      ),
    ],
  },
  "a record is being replaced when hostd dies": {
    seed: 2147483644,
    bursts: [
      burst([{ kind: "create", owner: 1, isDisposable: false }], 3, 117),
      burst([{ kind: "create", owner: 0, isDisposable: false }], 68, 32),
      burst([{ kind: "eraseOwner", owner: 0 }], 5, 4),
    ],
  },
  "a hostd that stood still wakes up with commands that it had not begun": {
    seed: 1125351959,
    bursts: [
      burst([{ kind: "create", owner: 0, isDisposable: false }]),
      {
        ...burst([
          { kind: "pause", at: 2 },
          { kind: "advance", seconds: 60 },
        ]),
        freezeAfter: 2,
      },
    ],
  },
  "a machine outlives an upgrade of the monitor, and is paused by the new one": {
    seed: 23,
    bursts: [
      burst([{ kind: "create", owner: 0, isDisposable: false }]),
      burst([{ kind: "remember", at: 0 }]),
      burst([{ kind: "upgrade" }, { kind: "advance", seconds: 60 }], 4),
      burst([{ kind: "pause", at: 0 }]),
      burst([{ kind: "advance", seconds: 60 }]),
      burst([{ kind: "start", at: 0 }]),
    ],
  },
};
