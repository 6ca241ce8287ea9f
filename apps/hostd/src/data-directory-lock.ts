/**
 * One hostd per data directory. The lock file names the holder by pid, start time and boot, so that a lock left by a
 * killed process, or whose pid was given to another, is taken over.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { hostBootId, isAlive, startTicksOf } from "./hypervisor/qemu/process-identity.ts";

const holder = z.object({ pid: z.number().int().positive(), startTicks: z.string(), hostBootId: z.string() });
type Holder = z.infer<typeof holder>;

/** @throws Error when another live hostd holds it. */
export async function lockDataDirectory(directory: string): Promise<AsyncDisposable> {
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const path = join(directory, "hostd.lock");
  const startTicks = startTicksOf(process.pid);
  if (startTicks === undefined) throw new Error("this process is not in /proc");
  const self: Holder = { pid: process.pid, startTicks, hostBootId: hostBootId() };
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
      if (other !== undefined && isHeld(other)) {
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
  if (moved !== undefined && isHeld(moved)) {
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

function isHeld(other: Holder): boolean {
  return other.hostBootId === hostBootId() && isAlive(other);
}
