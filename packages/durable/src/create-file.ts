import { type DurableFile, fileOps } from "./file-ops.ts";

/** A new file of mode 0600 to be written in pieces. The caller syncs it before anything names it, and disposes of it. */
export function createFile(path: string): Promise<DurableFile> {
  return fileOps().create(path, 0o600);
}
