import { constants, type PathLike } from "node:fs";
import { open } from "node:fs/promises";

/**
 * Text of a small ordinary file that users may have replaced with anything: a FIFO or a device does not block, a
 * larger file is cut. Undefined when there is no such file.
 */
export async function readSmallFile(path: PathLike, maxBytes = 64 * 1024): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!(await file.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch {
    return undefined;
  }
}
