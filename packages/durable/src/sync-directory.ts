import { fileOps } from "./file-ops.ts";

/** Makes names made, moved and removed in a directory survive a power cut. */
export function syncDirectory(path: string): Promise<void> {
  return fileOps().syncDirectory(path);
}
