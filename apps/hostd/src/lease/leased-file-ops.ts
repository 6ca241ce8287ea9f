import { type FileOps, realFileOps } from "@atoll/durable/file-ops";
import type { HostLease } from "./host-lease.ts";

/**
 * The durable file operations of a process that may have lost its lease while it stood still: the lease is looked at
 * right before each name on the disk changes, behind the slow part of every write.
 */
export function leasedFileOps(lease: Pick<HostLease, "check">): FileOps {
  return {
    ...realFileOps,
    async create(path, mode) {
      await lease.check();
      return realFileOps.create(path, mode);
    },
    async open(path) {
      await lease.check();
      return realFileOps.open(path);
    },
    async rename(from, to) {
      await lease.check();
      return realFileOps.rename(from, to);
    },
    async link(existing, path) {
      await lease.check();
      return realFileOps.link(existing, path);
    },
    async remove(path) {
      await lease.check();
      return realFileOps.remove(path);
    },
    async makeDirectory(path, mode) {
      await lease.check();
      return realFileOps.makeDirectory(path, mode);
    },
  };
}
