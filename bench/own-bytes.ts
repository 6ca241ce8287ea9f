import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** On disk, in files below `directory` that lie nowhere else as well. */
export async function ownBytes(directory: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { blocks, nlink } = await stat(join(entry.parentPath, entry.name));
    if (nlink === 1) total += blocks * 512;
  }
  return total;
}
