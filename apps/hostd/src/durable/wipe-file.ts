import { open, rm } from "node:fs/promises";

/** Overwrites a file, makes that durable and unlinks it. A missing file is fine. The caller syncs the directory. */
export async function wipeFile(path: string): Promise<void> {
  try {
    await using file = await open(path, "r+");
    const { size } = await file.stat();
    await file.write(Buffer.alloc(size), 0, size, 0);
    await file.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await rm(path, { force: true });
}
