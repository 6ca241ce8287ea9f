import { existsSync } from "node:fs";
import { type Clock, systemClock } from "@atoll/base/clock";
import { describe, expect, it } from "vitest";
import { Pty, type PtyExit } from "./pty.ts";

function start(script: string, clock: Clock) {
  let bytes = 0;
  const ended = Promise.withResolvers<{ bytes: number; exit: PtyExit }>();
  const pty = new Pty({
    argv: ["/bin/sh", "-c", script],
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin" },
    cwd: "/",
    cols: 80,
    rows: 24,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    clock,
    onOutput: (chunk) => {
      bytes += chunk.length;
    },
    onExit: (exit) => ended.resolve({ bytes, exit }),
  });
  return { pid: pty.pid, ended: ended.promise };
}

/** Holds this thread, so that the event loop finds all output and the end together. */
function holdUntilReaped(pid: number): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (existsSync(`/proc/${pid}`)) Atomics.wait(cell, 0, 0, 1);
}

const PRINT = "stty raw; head -c 12000 /dev/zero | tr '\\0' x";
const ALL = { bytes: 12_000, exit: { exitCode: 0, signal: null } };

describe("pty", () => {
  // Newer libuv than the guest's reads on by itself: there this tells of the guest's only when run with the guest's Node.
  it("delivers what a program printed right before its end", async () => {
    const { pid, ended } = start(PRINT, systemClock);
    holdUntilReaped(pid);
    expect(await ended).toEqual(ALL);
  });

  it("delivers it also when a child keeps the terminal open and the time to wait for it is over", async () => {
    /** A thread so late that every moment has passed. */
    const lateClock: Clock = {
      ...systemClock,
      schedule(_delayMs, run) {
        const handle = setImmediate(run);
        return () => clearImmediate(handle);
      },
    };
    const { pid, ended } = start(`trap '' HUP; sleep 5 & ${PRINT}`, lateClock);
    holdUntilReaped(pid);
    expect(await ended).toEqual(ALL);
  });
});
