import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileOps } from "./file-ops.ts";

/** A second name for a file, durable when it returns. The same file there already is fine, another one fails with EEXIST. */
export async function linkFile(existing: string, path: string): Promise<void> {
  const ops = fileOps();
  try {
    await ops.link(existing, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const [one, other] = await Promise.all([stat(existing), stat(path)]);
    if (one.ino !== other.ino || one.dev !== other.dev) throw error;
  }
  await ops.syncDirectory(dirname(path));
}
