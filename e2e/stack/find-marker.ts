import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** Regular files below `paths` that hold `marker` as it is. Files that vanish meanwhile are passed over. */
export async function findMarker(
  paths: readonly string[],
  marker: string,
): Promise<{ hits: string[]; scanned: number }> {
  const needle = Buffer.from(marker);
  const hits: string[] = [];
  let scanned = 0;
  for (const path of paths) {
    const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      scanned += 1;
      const file = join(entry.parentPath, entry.name);
      if (await holds(file, needle)) hits.push(file);
    }
  }
  return { hits, scanned };
}

async function holds(file: string, needle: Buffer): Promise<boolean> {
  let tail = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 4 * 1024 * 1024 })) {
      const bytes = Buffer.concat([tail, chunk as Buffer]);
      if (bytes.includes(needle)) return true;
      tail = bytes.subarray(Math.max(0, bytes.length - needle.length + 1));
    }
  } catch {
    return false;
  }
  return false;
}
