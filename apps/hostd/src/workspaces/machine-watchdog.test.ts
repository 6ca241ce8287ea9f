import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, it } from "vitest";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { MachineWatchdog } from "./machine-watchdog.ts";

/** Second by second, a monitor that answers whatever `answer` does then. @returns when it was given up, in seconds */
async function givenUpAt(seconds: number, answer: (second: number) => Promise<void>) {
  const clock = new ManualClock();
  let second = 0;
  let stuckAt: number | undefined;
  const watchdog = new MachineWatchdog({ clock, onStuck: () => (stuckAt ??= second) });
  watchdog.watch({ ping: () => answer(second) } as Machine);
  for (; second <= seconds; second++) {
    clock.advance(1000);
    // What it was told reaches it.
    await new Promise((resolve) => setImmediate(resolve));
  }
  watchdog.end();
  return stuckAt;
}

const stopped = () => Promise.reject(new AtollError("vm.monitor_failed", "stopped"));

it("lets a process be that is stopped for a few seconds, however often", async () => {
  const answer = async (second: number) => (second % 8 < 5 ? stopped() : undefined);
  expect(await givenUpAt(120, answer)).toBeUndefined();
});

it.each([
  ["whose process is stopped", stopped],
  ["that is silent", () => new Promise<void>(() => {})],
])("gives up a monitor %s, in less than half a minute", async (_what, answer) => {
  const at = await givenUpAt(60, answer);
  expect(at).toBeGreaterThanOrEqual(10);
  expect(at).toBeLessThan(30);
});
