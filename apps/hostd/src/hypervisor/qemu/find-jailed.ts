import { readdir, stat } from "node:fs/promises";
import { JAIL_RUN, STAGED_RUN } from "./jail.ts";
import { type ProcessIdentity, startTicksOf } from "./process-identity.ts";

/**
 * Every process that has one of these run directories in its jail, QEMU or a jail still on its way to it. Found by what
 * the kernel says of its mounts, so also one whose start was cut off before it was written down.
 */
export async function findJailed(runDirectories: readonly string[]): Promise<ProcessIdentity[]> {
  const wanted = new Set<string>();
  for (const path of runDirectories) wanted.add((await inodeOf(path)) ?? "");
  wanted.delete("");
  const found: ProcessIdentity[] = [];
  if (wanted.size === 0) return found;
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const startTicks = startTicksOf(Number(name));
    if (startTicks === undefined) continue;
    for (const path of [JAIL_RUN, STAGED_RUN]) {
      const inode = await inodeOf(`/proc/${name}/root${path}`);
      if (inode !== undefined && wanted.has(inode)) found.push({ pid: Number(name), startTicks });
    }
  }
  return found;
}

/** Undefined when there is none; then its process has none of ours either, or has ended. */
async function inodeOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
