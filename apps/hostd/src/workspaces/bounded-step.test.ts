import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, it } from "vitest";
import { boundedStep } from "./bounded-step.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function scene() {
  const clock = new ManualClock();
  const abort = new AbortController();
  return { clock, abort, options: { name: "step", timeoutMs: 1000, clock, signal: abort.signal } };
}

/** Of a step that obeys nothing: told to stop, and just given up. */
function leftBehind() {
  const { clock, abort, options } = scene();
  const late: number[] = [];
  const { promise, resolve } = Promise.withResolvers<number>();
  const step = boundedStep(() => promise, { ...options, onLate: (result) => late.push(result) });
  step.catch(() => {});
  abort.abort(new AtollError("workspace.deleted"));
  clock.advance(10_000);
  return { step, resolve, late };
}

it("gives what the step gives and leaves no timer", async () => {
  const { clock, options } = scene();
  expect(await boundedStep(async () => 5, options)).toBe(5);
  await expect(boundedStep(() => Promise.reject(new Error("own")), options)).rejects.toThrow("own");
  const throwing = (): Promise<never> => {
    throw new Error("before its first await");
  };
  await expect(boundedStep(throwing, options)).rejects.toThrow("before its first await");
  expect(clock.pendingCount).toBe(0);
});

it("tells a step whose time is over to stop, and takes its word for how it ended", async () => {
  const { clock, options } = scene();
  const committed = boundedStep(
    (signal) =>
      new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("committed"))),
    options,
  );
  clock.advance(1000);
  expect(await committed).toBe("committed");
});

it("leaves a step behind that obeys nothing, and hands on what comes of it", async () => {
  const { step, resolve, late } = leftBehind();
  await expect(step).rejects.toMatchObject({ code: "workspace.deleted" });
  resolve(7);
  await turn();
  expect(late).toEqual([7]);
});

it("hands on also what comes in the same moment as it is left behind", async () => {
  const { step, resolve, late } = leftBehind();
  resolve(7);
  await expect(step).rejects.toMatchObject({ code: "workspace.deleted" });
  await turn();
  expect(late).toEqual([7]);
});

it("does not begin for one that was told to stop already", async () => {
  const { abort, options } = scene();
  abort.abort(new AtollError("workspace.deleted"));
  let hasBegun = false;
  const step = boundedStep(async () => {
    hasBegun = true;
  }, options);
  await expect(step).rejects.toMatchObject({ code: "workspace.deleted" });
  expect(hasBegun).toBe(false);
});
