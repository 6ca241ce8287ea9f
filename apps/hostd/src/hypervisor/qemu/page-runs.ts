/** Runs of pages as a table of `first u32, count u32`, big endian, and their union. */
import { AtollError } from "@atoll/protocol/atoll-error";
import type { PageRun } from "./guest-memory.ts";

/** Of one in the table. */
export const RUN_BYTES = 8;

export function writePageRuns(runs: readonly PageRun[]): Buffer {
  const table = Buffer.alloc(runs.length * RUN_BYTES);
  for (const [index, { first, count }] of runs.entries()) {
    table.writeUInt32BE(first, index * RUN_BYTES);
    table.writeUInt32BE(count, index * RUN_BYTES + 4);
  }
  return table;
}

/** @throws AtollError vm.monitor_failed for anything but what `writePageRuns` made */
export function readPageRuns(table: Buffer): PageRun[] {
  if (table.length % RUN_BYTES !== 0)
    throw new AtollError("vm.monitor_failed", `a table of pages with ${table.length} bytes`);
  return Array.from({ length: table.length / RUN_BYTES }, (_, index) => ({
    first: table.readUInt32BE(index * RUN_BYTES),
    count: table.readUInt32BE(index * RUN_BYTES + 4),
  }));
}

/** Every page that is in either, in order and once. */
export function joinPageRuns(one: readonly PageRun[], other: readonly PageRun[]): PageRun[] {
  const joined: PageRun[] = [];
  for (const { first, count } of [...one, ...other].sort((a, b) => a.first - b.first)) {
    const last = joined.at(-1);
    if (last === undefined || last.first + last.count < first) joined.push({ first, count });
    else last.count = Math.max(last.count, first + count - last.first);
  }
  return joined;
}
