import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { fileOps } from "./file-ops.ts";

/**
 * Replaces a file so that after any crash it holds the old or the new bytes, whole: temporary file beside it, fsync,
 * rename, fsync of the directory. Durable when it returns. Mode 0600.
 */
export async function replaceFile(path: string, bytes: string | Uint8Array): Promise<void> {
  const ops = fileOps();
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    {
      await using file = await ops.create(temporary, 0o600);
      await file.write(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
      await file.sync();
    }
    await ops.rename(temporary, path);
  } catch (error) {
    await ops.remove(temporary);
    throw error;
  }
  await ops.syncDirectory(dirname(path));
}
