import { chmod, open, rm } from "node:fs/promises";
import { runTool } from "./run-tool.ts";

/** A sparse raw disk with an empty ext4. Nothing in it is anyone's: it becomes the backing file of every clone. */
export async function formatDisk(path: string, sizeMb: number, signal?: AbortSignal): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  try {
    await file.truncate(sizeMb * 1024 * 1024);
    await runTool(
      [
        "mke2fs",
        ...["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "atoll"],
        // "-m": root, and with it the agent, starts and deletes files on a disk that its user filled.
        // The file is all zeroes and mke2fs knows it, so inode tables count as initialised without being written;
        // lazily, each guest would write them into its own disk in the background.
        ...["-E", "discard,lazy_itable_init=0,lazy_journal_init=1,root_owner=0:0"],
        path,
      ],
      signal,
    );
    await chmod(path, 0o600);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
