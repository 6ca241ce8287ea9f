import { statfs } from "node:fs/promises";

/** Of statfs(2): ext2 to ext4, xfs, btrfs, f2fs, zfs, tmpfs. */
const ONE_KERNEL = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994]);

/** At most one kernel has it mounted at a time. Others (nfs, 9p, virtiofs, cluster file systems) may be shared by hosts. */
export async function isOfOneKernel(path: string): Promise<boolean> {
  return ONE_KERNEL.has((await statfs(path)).type);
}
