import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Kernel default on every Debian architecture. */
const TICKS_PER_SECOND = 100;

async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // Fields 14 and 15, counted from behind the name, which may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Share of one core over `seconds`, in percent. */
export async function cpuPercent(pid: number, seconds: number): Promise<number> {
  const before = await cpuTicks(pid);
  await delay(seconds * 1000);
  return (((await cpuTicks(pid)) - before) / TICKS_PER_SECOND / seconds) * 100;
}

/** Proportional set size: pages shared by n processes count 1/n. */
export async function pssMib(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const kib = /^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1];
  if (kib === undefined) throw new Error(`no Pss of ${pid}`);
  return Number(kib) / 1024;
}
