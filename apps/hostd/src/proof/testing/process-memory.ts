import { closeSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** Larger ones are address space that nothing lies in. */
const RANGE_MAX_BYTES = 512 * 1024 * 1024;

/** Names of the needles that lie in what a process can write to. */
export async function inMemoryOf(pid: number, needles: ReadonlyMap<string, Uint8Array>): Promise<string[]> {
  const maps = await readFile(`/proc/${pid}/maps`, "utf8");
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const found = new Set<string>();
  try {
    for (const line of maps.split("\n")) {
      const [range, rights] = line.split(" ");
      if (range === undefined || !rights?.startsWith("rw")) continue;
      const [from = 0, to = 0] = range.split("-").map((end) => Number.parseInt(end, 16));
      if (to - from > RANGE_MAX_BYTES) continue;
      const bytes = Buffer.alloc(to - from);
      try {
        readSync(memory, bytes, 0, bytes.length, from);
      } catch {
        continue;
      }
      for (const [name, needle] of needles) if (bytes.includes(Buffer.from(needle))) found.add(name);
    }
  } finally {
    closeSync(memory);
  }
  return [...found];
}
