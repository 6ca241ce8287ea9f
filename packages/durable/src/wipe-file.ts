import { stat } from "node:fs/promises";
import { fileOps } from "./file-ops.ts";
import { removeDurably } from "./remove-durably.ts";

/** Overwrites a small file, unlinks it, and makes both durable. A missing file is fine, so it can be repeated. */
export async function wipeFile(path: string): Promise<void> {
  try {
    const { size } = await stat(path);
    await using file = await fileOps().open(path);
    await file.write(Buffer.alloc(size));
    await file.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await removeDurably(path);
}
