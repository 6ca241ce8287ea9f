import { expect, it, onTestFinished, vi } from "vitest";
import { ManualClock } from "./manual-clock.ts";
import { withDeadline } from "./with-deadline.ts";

const late = new Error("too late");
const options = (signal?: AbortSignal) => {
  const clock = new ManualClock();
  return { timeoutMs: 100, clock, onTimeout: () => late, signal };
};

it("ends as the work did, and leaves no timer behind", async () => {
  const own = options();
  await expect(withDeadline(Promise.resolve(1), own)).resolves.toBe(1);
  await expect(withDeadline(Promise.reject(new RangeError()), own)).rejects.toThrow(RangeError);
  expect(own.clock.pendingCount).toBe(0);
});

it("ends with the deadline's error, or with the abort's reason as it is", async () => {
  const own = options();
  const missed = withDeadline(new Promise(() => {}), own);
  own.clock.advance(100);
  await expect(missed).rejects.toBe(late);
  const abort = new AbortController();
  const reason = new Error("given up");
  const aborted = withDeadline(new Promise(() => {}), options(abort.signal));
  abort.abort(reason);
  await expect(aborted).rejects.toBe(reason);
});

it("is told of no failure of work that nobody waits for any more", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  onTestFinished(() => void process.off("unhandledRejection", unhandled));
  const reason = new Error("given up");
  for (const signal of [AbortSignal.abort(reason), undefined]) {
    const work = Promise.withResolvers<never>();
    const own = options(signal);
    const waiting = withDeadline(work.promise, own);
    own.clock.advance(100);
    await expect(waiting).rejects.toBe(signal === undefined ? late : reason);
    work.reject(new Error("later"));
    // The event comes behind all that is settled by then.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(unhandled).not.toHaveBeenCalled();
});
