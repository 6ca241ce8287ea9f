import { open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "./replace-file.ts";

/** Overwrites a small file, unlinks it, and makes both durable. A missing file is fine, so it can be repeated. */
export async function wipeFile(path: string): Promise<void> {
  try {
    await using file = await open(path, "r+");
    const { size } = await file.stat();
    await file.write(Buffer.alloc(size), 0, size, 0);
    await file.sync();
  } catch (error) {
    // Unlinked before, perhaps by a life that ended before it could sync.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}
