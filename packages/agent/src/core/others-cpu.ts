import { closeSync, openSync, readdirSync, readSync } from "node:fs";

/** USER_HZ: the unit of /proc on every Linux. */
const TICK_MS = 10;
/** A turn for others after so many processes: a fork bomb must not hold this one up. */
const BATCH = 64;
const KERNEL_THREAD_FLAG = 0x0020_0000;

const buffer = Buffer.alloc(1024);

/**
 * CPU time of all programs but this one, with those that have ended: the kernel adds a program's time to its parent's
 * when that takes note of its end. Not from /proc/stat, which counts ticks: an emulated machine loses them under load.
 */
export async function othersCpuMs(): Promise<number> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  let ticks = 0;
  for (const [index, pid] of pids.entries()) {
    if (index % BATCH === BATCH - 1) await new Promise((resolve) => setImmediate(resolve));
    ticks += ticksOf(pid);
  }
  return ticks * TICK_MS;
}

function ticksOf(pid: string): number {
  const stat = readStat(pid);
  // From the state on; a name may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 15 || (Number(fields[6]) & KERNEL_THREAD_FLAG) !== 0) return 0;
  const [own = 0, ownSystem = 0, children = 0, childrenSystem = 0] = fields.slice(11, 15).map(Number);
  const ofChildren = children + childrenSystem;
  return Number(pid) === process.pid ? ofChildren : own + ownSystem + ofChildren;
}

/** Empty when it is gone. */
function readStat(pid: string): string {
  try {
    const fd = openSync(`/proc/${pid}/stat`, "r");
    try {
      return buffer.toString("latin1", 0, readSync(fd, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return "";
  }
}
