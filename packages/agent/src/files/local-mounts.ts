import { readFile } from "node:fs/promises";

/** File systems whose lookups end: the guest's own and the kernel's. */
const LOCAL = new Set([
  "binfmt_misc",
  "btrfs",
  "cgroup",
  "cgroup2",
  "devpts",
  "devtmpfs",
  "erofs",
  "ext4",
  "mqueue",
  "overlay",
  "proc",
  "squashfs",
  "sysfs",
  "tmpfs",
  "xfs",
]);

/** Whether nothing is mounted that a user's program answers for: there a lookup may never return. */
export async function hasOnlyLocalMounts(): Promise<boolean> {
  const text = await readFile("/proc/self/mountinfo", "latin1");
  return [...text.matchAll(/ - (\S+) /g)].every(([, type]) => LOCAL.has(type ?? ""));
}
