import { dirname } from "node:path";
import { fileOps } from "./file-ops.ts";

/** Durable when it returns; a crash leaves it at one of both names. Files and directories of one file system. */
export async function moveFile(from: string, to: string): Promise<void> {
  const ops = fileOps();
  await ops.rename(from, to);
  await ops.syncDirectory(dirname(to));
  if (dirname(from) !== dirname(to)) await ops.syncDirectory(dirname(from));
}
