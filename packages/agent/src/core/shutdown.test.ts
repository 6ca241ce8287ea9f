import { systemClock } from "@atoll/base/clock";
import { describe, expect, it } from "vitest";
import { MemoryGuestSystem } from "../system/memory-guest-system.ts";
import { type ProcessFacts, parseProcess } from "../system/read-processes.ts";
import { shutDown, userProcesses } from "./shutdown.ts";

const facts = (pid: number, parentPid: number, change: Partial<ProcessFacts> = {}): ProcessFacts => ({
  pid,
  parentPid,
  isKernelThread: false,
  isZombie: false,
  ...change,
});

/** init 1, kernel thread 2, supervisor 10 with socat 11 and the agent 12, a shell 20 of the agent with 21, a daemon 30. */
const MACHINE = [
  facts(1, 0),
  facts(2, 0, { isKernelThread: true }),
  facts(10, 1),
  facts(11, 10),
  facts(12, 10),
  facts(20, 12),
  facts(21, 20),
  facts(30, 1),
  facts(31, 1, { isZombie: true }),
];

describe("shutdown", () => {
  it("reads a process whose name is made to mislead", () => {
    expect(parseProcess("42 (a) R 1 (b c) S 7 1 1 0 -1 2097152 0 0")).toEqual(
      facts(42, 7, { isKernelThread: true }),
    );
    expect(parseProcess("")).toBeUndefined();
  });

  it("tells users' programs from the kernel, the supervisor and what carries the link", () => {
    expect(userProcesses(MACHINE, 12)).toEqual([20, 21, 30]);
  });

  it("asks, then kills who stayed, then powers off with a disk that can be written", async () => {
    const system = new MemoryGuestSystem("/");
    let left = MACHINE;
    const signals: string[] = [];
    await shutDown({
      system,
      clock: systemClock,
      ownPid: 12,
      readAll: async () => left,
      kill: (pid, signal) => {
        signals.push(`${signal} ${pid}`);
        if (signal === "SIGHUP") left = left.filter((process) => process.pid !== pid);
      },
    });
    expect(signals).toEqual(
      ["SIGTERM", "SIGHUP"].flatMap((signal) => [20, 21, 30].map((pid) => `${signal} ${pid}`)),
    );
    expect(system.calls).toEqual(["thaw", "power off"]);
  });
});
