import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { type Clock, systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { JAIL_STATUS_FD } from "./jail.ts";
import { type ProcessIdentity, startTicksOf } from "./process-identity.ts";

const START_TIMEOUT_MS = 15_000;

/**
 * Starts a jailed command in a session of its own, so that it outlives us, and returns the identity of the process
 * inside, not of the jail around it: killing bubblewrap would leave QEMU running.
 * @param logPath memory-backed; takes what the jail and QEMU say.
 */
export async function spawnJailed(
  command: readonly [string, ...string[]],
  options: { logPath: string; signal?: AbortSignal | undefined; clock?: Clock },
): Promise<ProcessIdentity> {
  options.signal?.throwIfAborted();
  const log = openSync(options.logPath, "a", 0o600);
  let child: ChildProcess;
  try {
    const [program, ...rest] = command;
    child = spawn(program, rest, {
      detached: true,
      stdio: ["ignore", log, log, "pipe"],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
  } finally {
    closeSync(log);
  }
  child.unref();
  const status = child.stdio[JAIL_STATUS_FD] as Readable;
  try {
    const pid = await withDeadline(readChildPid(child, status), {
      timeoutMs: START_TIMEOUT_MS,
      clock: options.clock ?? systemClock,
      signal: options.signal,
      onTimeout: () => new AtollError("vm.start_failed", "the jail did not come up"),
    });
    const startTicks = startTicksOf(pid);
    if (startTicks === undefined)
      throw new AtollError("vm.start_failed", "the machine monitor ended at once");
    return { pid, startTicks };
  } catch (error) {
    // Only the jail can be alive here, and with its parent gone before it reported a child, it has none.
    child.kill("SIGKILL");
    throw error;
  } finally {
    // Drained until the jail ends: it writes on after the pid, and would die of a closed pipe before it lets QEMU go.
    status.resume();
    (status as Socket).unref();
  }
}

async function readChildPid(child: ChildProcess, status: Readable): Promise<number> {
  const failed = once(child, "exit").then(([code]) => {
    throw new AtollError("vm.start_failed", `the jail ended with status ${code}`);
  });
  // Its end long after the start is no fault, and nobody waits for it then.
  failed.catch(() => {});
  const found = (async () => {
    let text = "";
    for await (const chunk of status.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      const pid = /"child-pid": (\d+)\D/.exec(text)?.[1];
      if (pid !== undefined) return Number(pid);
    }
    return failed;
  })();
  return Promise.race([found, failed]);
}
