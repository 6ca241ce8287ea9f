import { open } from "node:fs/promises";
import { runCommand } from "./build/run-command.ts";

export interface FormatDiskOptions {
  /** Must not exist yet. */
  path: string;
  sizeBytes: number;
  signal?: AbortSignal | undefined;
}

/**
 * Makes the empty file system a user's disk starts from, as a sparse raw file: a few MB for any size, in well under a
 * second, and nothing left for the guest's kernel to finish in the background.
 */
export async function formatDisk({ path, sizeBytes, signal }: FormatDiskOptions): Promise<void> {
  {
    await using file = await open(path, "wx", 0o600);
    await file.truncate(sizeBytes);
  }
  await runCommand(
    [
      "mke2fs",
      "-q",
      "-t",
      "ext4",
      // One inode per 8 KiB: dependency trees are many small files.
      ...["-i", "8192"],
      // Root starts even when a user filled the disk.
      ...["-m", "1"],
      // Every byte of the journal ends up in the encrypted disk; the default grows to 1 GiB.
      ...["-J", "size=32"],
      // A new sparse file reads as zeros, so neither mke2fs nor the guest has tables to clear.
      ...["-E", "assume_storage_prezeroed=1,lazy_itable_init=0,lazy_journal_init=1,nodiscard"],
      path,
    ],
    { signal },
  );
}
