import { readdir, readFile } from "node:fs/promises";

export interface ProcessFacts {
  pid: number;
  parentPid: number;
  isKernelThread: boolean;
  isZombie: boolean;
}

const KERNEL_THREAD_FLAG = 0x0020_0000;

export async function readProcesses(): Promise<ProcessFacts[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const facts = await Promise.all(
    pids.map(async (pid) => parseProcess(await readFile(`/proc/${pid}/stat`, "latin1").catch(() => ""))),
  );
  return facts.filter((entry) => entry !== undefined);
}

/** `pid (name) state ppid …`; a name may hold spaces and parentheses. */
export function parseProcess(stat: string): ProcessFacts | undefined {
  const pid = Number.parseInt(stat, 10);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (!(pid > 0) || fields.length < 7) return undefined;
  return {
    pid,
    parentPid: Number(fields[1]),
    isKernelThread: (Number(fields[6]) & KERNEL_THREAD_FLAG) !== 0,
    isZombie: fields[0] === "Z" || fields[0] === "X",
  };
}
