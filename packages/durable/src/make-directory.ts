import { dirname } from "node:path";
import { fileOps } from "./file-ops.ts";

/** With the parents that are missing, all of this mode and durable when it returns. */
export async function makeDirectory(path: string, mode = 0o700): Promise<void> {
  const ops = fileOps();
  try {
    await ops.makeDirectory(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), mode);
    await ops.makeDirectory(path, mode);
  }
  // Also when it was there: the life that made it may have ended before it could sync.
  await ops.syncDirectory(dirname(path));
}
