import type { Clock } from "@atoll/base/clock";
import type { GuestSystem } from "../system/guest-system.ts";
import { type ProcessFacts, readProcesses } from "../system/read-processes.ts";

/** From SIGTERM to SIGKILL. */
const TERM_TIMEOUT_MS = 4000;
const LOOK_INTERVAL_MS = 50;

export interface ShutdownOptions {
  system: GuestSystem;
  clock: Clock;
  readAll?: () => Promise<ProcessFacts[]>;
  kill?: (pid: number, signal: NodeJS.Signals) => void;
  /** Our own pid; its ancestors and their other children keep the machine and the link going. */
  ownPid?: number;
}

/** Ends everyone's programs, politely first, then has PID 1 sync and stop the machine. */
export async function shutDown(options: ShutdownOptions): Promise<void> {
  const { system, clock, readAll = readProcesses, ownPid = process.pid } = options;
  const kill = options.kill ?? ((pid, signal) => void process.kill(pid, signal));
  const signalAll = async (signal: NodeJS.Signals): Promise<number> => {
    const pids = userProcesses(await readAll(), ownPid);
    for (const pid of pids) {
      try {
        kill(pid, signal);
      } catch {
        // It ended by itself.
      }
    }
    return pids.length;
  };
  const countLeft = async () => userProcesses(await readAll(), ownPid).length;
  if ((await signalAll("SIGTERM")) > 0) {
    // An interactive shell ignores SIGTERM and goes when its terminal does.
    await signalAll("SIGHUP");
    const endMs = clock.monotonic() + TERM_TIMEOUT_MS;
    while ((await countLeft()) > 0 && clock.monotonic() < endMs) {
      await new Promise<void>((resolve) => clock.schedule(LOOK_INTERVAL_MS, resolve));
    }
    await signalAll("SIGKILL");
  }
  // A disk that is frozen could not be written by anyone on the way down.
  system.thaw();
  system.powerOff();
}

/** Everyone but the kernel's threads, PID 1, zombies, us, our ancestors, and what our ancestors run besides us. */
export function userProcesses(all: readonly ProcessFacts[], ownPid: number): number[] {
  const byPid = new Map(all.map((facts) => [facts.pid, facts]));
  const ancestors = new Set<number>();
  for (let pid = byPid.get(ownPid)?.parentPid ?? 0; pid > 1 && !ancestors.has(pid); ) {
    ancestors.add(pid);
    pid = byPid.get(pid)?.parentPid ?? 0;
  }
  const isOurs = ({ pid }: ProcessFacts): boolean => {
    for (let at = byPid.get(pid); at !== undefined && at.pid > 1; at = byPid.get(at.parentPid)) {
      if (at.pid === ownPid) return pid === ownPid;
      if (ancestors.has(at.pid)) return true;
    }
    return false;
  };
  return all
    .filter((facts) => facts.pid !== 1 && !facts.isKernelThread && !facts.isZombie && !isOurs(facts))
    .map(({ pid }) => pid);
}
