import { ManualClock } from "@atoll/base/manual-clock";
import { expect, it } from "vitest";
import { DueTimer } from "./due-timer.ts";
import type { DueKind } from "./due-times.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function timer(onDue: (kind: DueKind) => Promise<void> = async () => {}) {
  const clock = new ManualClock();
  const fired: DueKind[] = [];
  const one = new DueTimer({
    clock,
    onDue: (kind) => {
      fired.push(kind);
      return onDue(kind);
    },
  });
  return { clock, fired, one };
}

it("waits for weeks without asking the platform for such a timer", async () => {
  const { clock, fired, one } = timer();
  const delays: number[] = [];
  const schedule = clock.schedule.bind(clock);
  clock.schedule = (delayMs, run) => {
    delays.push(delayMs);
    return schedule(delayMs, run);
  };
  const dueMs = clock.now() + 90 * 86_400_000;
  one.update({ archive: dueMs });
  clock.advance(dueMs - clock.now() - 1);
  expect(fired).toEqual([]);
  clock.advance(1);
  expect(fired).toEqual(["archive"]);
  expect(Math.max(...delays)).toBeLessThan(2 ** 31);
});

it("follows the clock on the wall when that is set forward", () => {
  const { clock, fired, one } = timer();
  const now = clock.now.bind(clock);
  one.update({ stop: clock.now() + 86_400_000 });
  clock.now = () => now() + 86_400_000;
  clock.advance(3_600_000);
  expect(fired).toEqual(["stop"]);
});

it("does at once what fell due before, the oldest first, one at a time", async () => {
  const { clock, fired, one } = timer();
  one.update({ stop: clock.now() - 5, expire: clock.now() - 10 });
  clock.advance(0);
  expect(fired).toEqual(["expire"]);
  one.update({ stop: clock.now() - 5 });
  await turn();
  clock.advance(0);
  expect(fired).toEqual(["expire", "stop"]);
});

it("tries again what failed, less and less often, without holding up the rest", async () => {
  const { clock, fired, one } = timer((kind) =>
    kind === "seal" ? Promise.reject(new Error("no")) : Promise.resolve(),
  );
  one.update({ seal: clock.now() });
  clock.advance(0);
  await turn();
  clock.advance(29_999);
  expect(fired).toEqual(["seal"]);
  clock.advance(1);
  await turn();
  clock.advance(59_999);
  expect(fired).toEqual(["seal", "seal"]);
  one.update({ seal: clock.now(), stop: clock.now() });
  clock.advance(0);
  expect(fired).toEqual(["seal", "seal", "stop"]);
});

it("does not ask at once again whoever leaves a thing as due as it was", async () => {
  const { clock, fired, one } = timer();
  one.update({ seal: clock.now(), stop: clock.now() + 1000 });
  clock.advance(0);
  await turn();
  clock.advance(1000);
  expect(fired).toEqual(["seal", "stop"]);
  one.update({ seal: clock.now() - 1000 });
  await turn();
  clock.advance(28_999);
  expect(fired).toEqual(["seal", "stop"]);
  clock.advance(1);
  expect(fired).toEqual(["seal", "stop", "seal"]);
});

it("does nothing more once it is closed", () => {
  const { clock, fired, one } = timer();
  one.update({ stop: clock.now() + 10 });
  one[Symbol.dispose]();
  one.update({ stop: clock.now() });
  clock.advance(1000);
  expect(fired).toEqual([]);
});
