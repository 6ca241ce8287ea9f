import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";

/** A process told apart from a later one with the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks between boot and start. */
  startTicks: string;
}

export function hostBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Undefined when there is no such process, or only its zombie. */
export function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

export function isAlive(process: ProcessIdentity): boolean {
  return startTicksOf(process.pid) === process.startTicks;
}

/** By SIGSTOP or a debugger: it does nothing until somebody lets it go on. */
export function isStopped(process: ProcessIdentity): boolean {
  const stat = statOf(process.pid);
  return stat?.startTicks === process.startTicks && /^[Tt]$/.test(stat.state);
}

function statOf(pid: number): { state: string; startTicks: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may hold anything, so count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTicks] = [fields[0], fields[19]];
  if (state === undefined || startTicks === undefined || state === "Z" || state === "X") return undefined;
  return { state, startTicks };
}

/** A process that has not ended by then hangs in the kernel. */
const KILL_TIMEOUT_MS = 60_000;

/** SIGKILL to exactly that process, then waits until it is gone. @throws AtollError vm.monitor_failed when it does not go */
export async function killProcess(target: ProcessIdentity): Promise<void> {
  const giveUpAtMs = systemClock.monotonic() + KILL_TIMEOUT_MS;
  for (let waitMs = 1; isAlive(target); waitMs = Math.min(waitMs * 2, 50)) {
    try {
      process.kill(target.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      return;
    }
    if (systemClock.monotonic() > giveUpAtMs) {
      throw new AtollError("vm.monitor_failed", `process ${target.pid} does not end`);
    }
    // Node has no pidfd; a killed QEMU needs milliseconds to give its memory back.
    await delay(waitMs);
  }
}
