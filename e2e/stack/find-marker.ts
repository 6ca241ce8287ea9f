import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { unlessGone } from "./unless-gone.ts";

/** Regular files below `paths` that hold `marker` as it is. What vanishes meanwhile is passed over. */
export async function findMarker(
  paths: readonly string[],
  marker: string,
): Promise<{ hits: string[]; scanned: number }> {
  const needle = Buffer.from(marker);
  const hits: string[] = [];
  let scanned = 0;
  for (const path of paths) {
    for await (const file of filesBelow(path)) {
      scanned += 1;
      if (await holds(file, needle)) hits.push(file);
    }
  }
  return { hits, scanned };
}

/** Directory by directory: a recursive listing ends at the first one that another journey's erasure takes away. */
async function* filesBelow(directory: string): AsyncGenerator<string> {
  for (const entry of await unlessGone(readdir(directory, { withFileTypes: true }), [])) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

async function holds(file: string, needle: Buffer): Promise<boolean> {
  const reach = needle.length - 1;
  let tail = Buffer.alloc(0);
  const scan = async () => {
    for await (const chunk of createReadStream(file, { highWaterMark: 4 * 1024 * 1024 })) {
      const bytes = chunk as Buffer;
      if (bytes.includes(needle)) return true;
      if (Buffer.concat([tail, bytes.subarray(0, reach)]).includes(needle)) return true;
      const end = Buffer.concat([tail, bytes.subarray(Math.max(0, bytes.length - reach))]);
      tail = end.subarray(Math.max(0, end.length - reach));
    }
    return false;
  };
  return unlessGone(scan(), false);
}
