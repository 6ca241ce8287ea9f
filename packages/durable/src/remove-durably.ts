import { dirname } from "node:path";
import { fileOps } from "./file-ops.ts";

/** A file or a whole directory, gone for good when it returns. Nothing there is fine, so it can be repeated. */
export async function removeDurably(path: string): Promise<void> {
  const ops = fileOps();
  await ops.remove(path);
  // Also when nothing was there: it may have been removed by a life that ended before it could sync.
  await ops.syncDirectory(dirname(path));
}
