/**
 * One hostd per data directory. The lock file names the holder by pid, start time and boot, so that a lock left by a
 * killed process, or whose pid was given to another, is taken over.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const holder = z.object({ pid: z.number().int().positive(), startTicks: z.string(), hostBootId: z.string() });
type Holder = z.infer<typeof holder>;

/** @throws Error when another live hostd holds it. */
export async function lockDataDirectory(directory: string): Promise<AsyncDisposable> {
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const path = join(directory, "hostd.lock");
  const self = await identify(process.pid);
  if (self === undefined) throw new Error("this process is not in /proc");
  const mine = `${path}.${process.pid}`;
  await writeFile(mine, JSON.stringify(self), { mode: 0o600 });
  try {
    for (;;) {
      try {
        // Fails when the name exists: of two that start at once one wins, and its content is there at once.
        await link(mine, path);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const other = await readHolder(path);
      if (other !== undefined && (await isAlive(other))) {
        throw new Error(`hostd ${other.pid} already runs on ${directory}`);
      }
      await takeAway(path, `${mine}.stale`);
    }
  } finally {
    await rm(mine, { force: true });
  }
  return {
    async [Symbol.asyncDispose]() {
      const current = await readHolder(path);
      if (current?.pid === self.pid && current.startTicks === self.startTicks)
        await rm(path, { force: true });
    },
  };
}

/** Of two that find the same dead lock the slower one moves the winner's lock: it puts that back. */
async function takeAway(path: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return;
  }
  const moved = await readHolder(aside);
  if (moved !== undefined && (await isAlive(moved))) {
    await link(aside, path);
    await rm(aside);
    throw new Error(`hostd ${moved.pid} already runs here`);
  }
  await rm(aside);
}

async function readHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    return holder.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function isAlive(other: Holder): Promise<boolean> {
  const now = await identify(other.pid);
  return now !== undefined && now.startTicks === other.startTicks && now.hostBootId === other.hostBootId;
}

async function identify(pid: number): Promise<Holder | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // The command in parentheses may hold spaces; the start time is the 20th field behind it (proc(5): 22nd in all).
  const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  const hostBootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  return startTicks === undefined ? undefined : { pid, startTicks, hostBootId };
}
