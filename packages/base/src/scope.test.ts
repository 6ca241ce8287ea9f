import { describe, expect, it } from "vitest";
import { ManualClock } from "./manual-clock.ts";
import { Scope } from "./scope.ts";
import { withDeadline } from "./with-deadline.ts";

describe("scope", () => {
  it("aborts, then releases newest first, once", async () => {
    const log: string[] = [];
    const scope = new Scope();
    scope.signal.addEventListener("abort", () => log.push("abort"));
    scope.defer(() => log.push("first"));
    scope.defer(() => log.push("second"));
    await Promise.all([scope.close(), scope.close()]);
    expect(log).toEqual(["abort", "second", "first"]);
  });

  it("releases at once what is added late", async () => {
    const scope = new Scope();
    await scope.close();
    const released = Promise.withResolvers<void>();
    scope.defer(() => released.resolve());
    await released.promise;
  });

  it("runs every release although one fails, and reports it", async () => {
    const scope = new Scope();
    let isReleased = false;
    scope.defer(() => {
      isReleased = true;
    });
    scope.defer(() => {
      throw new Error("stuck");
    });
    await expect(scope.close()).rejects.toThrow(AggregateError);
    expect(isReleased).toBe(true);
  });
});

describe("deadline", () => {
  it("tells a missed deadline, an abort and a result apart", async () => {
    const clock = new ManualClock();
    const onTimeout = () => new Error("late");
    const never = new Promise<never>(() => {});
    const late = withDeadline(never, { timeoutMs: 10, clock, onTimeout });
    clock.advance(10);
    await expect(late).rejects.toThrow("late");
    const controller = new AbortController();
    const aborted = withDeadline(never, { timeoutMs: 10, clock, onTimeout, signal: controller.signal });
    controller.abort("caller");
    await expect(aborted).rejects.toBe("caller");
    expect(await withDeadline(Promise.resolve(1), { timeoutMs: 10, clock, onTimeout })).toBe(1);
    expect(clock.pendingCount).toBe(0);
  });
});
