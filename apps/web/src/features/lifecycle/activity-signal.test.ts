import { ManualClock } from "@atoll/base/manual-clock";
import { describe, expect, it, vi } from "vitest";
import { ActivitySignal } from "./activity-signal.ts";

describe("activity signal", () => {
  it("tells of the first key at once, and of a flood twice a minute", () => {
    const target = new EventTarget();
    const clock = new ManualClock();
    const onActive = vi.fn();
    const signal = new ActivitySignal({ target, clock, idlePauseSeconds: 1800, onActive });
    for (let second = 0; second < 61; second += 1) {
      target.dispatchEvent(new Event("keydown"));
      target.dispatchEvent(new Event("wheel"));
      clock.advance(1000);
    }
    expect(onActive).toHaveBeenCalledTimes(3);
    signal.close();
    clock.advance(60_000);
    target.dispatchEvent(new Event("pointerdown"));
    expect(onActive).toHaveBeenCalledTimes(3);
  });

  it("does not take a moving mouse for work", () => {
    const target = new EventTarget();
    const onActive = vi.fn();
    const signal = new ActivitySignal({
      target,
      clock: new ManualClock(),
      idlePauseSeconds: 1800,
      onActive,
    });
    target.dispatchEvent(new Event("pointermove"));
    expect(onActive).not.toHaveBeenCalled();
    signal.close();
  });

  it("tells more often where the host pauses sooner", () => {
    const target = new EventTarget();
    const clock = new ManualClock();
    const onActive = vi.fn();
    const signal = new ActivitySignal({ target, clock, idlePauseSeconds: 20, onActive });
    target.dispatchEvent(new Event("keydown"));
    clock.advance(5000);
    target.dispatchEvent(new Event("keydown"));
    expect(onActive).toHaveBeenCalledTimes(2);
    signal.close();
  });
});
