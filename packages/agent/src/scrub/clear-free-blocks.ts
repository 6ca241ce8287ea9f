/**
 * What was deleted before anybody scrubbed still lies in free blocks, where root of every copy of the disk could read it.
 * The disk is asked to forget all that is free, and does so in units larger than a block: what shares a unit with
 * something in use is overwritten block by block, while nothing else on the machine can run or take one of them.
 */
import { open } from "node:fs/promises";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Log } from "../log.ts";
import type { FindTool } from "../system/base-tool.ts";
import { findDisk } from "../system/find-disk.ts";
import type { GuestSystem } from "../system/guest-system.ts";
import { runTool } from "../system/run-tool.ts";

export interface ClearOptions {
  clock: Clock;
  log: Log;
  tool: FindTool;
}

interface BlockRun {
  first: number;
  count: number;
}

const SERIAL = "disk";
/** The host's disk frees and zeroes whole pieces of this size, counted from its beginning. */
const DISCARD_UNIT_BYTES = 64 * 1024;
const TOOL_TIMEOUT_MS = 120_000;
/** Of a disk with a hundred thousand holes it is two megabytes. */
const LIST_MAX_BYTES = 64 * 1024 * 1024;

/** @throws AtollError internal: then nobody may have this disk */
export async function forgetFreeSpace(
  options: ClearOptions & { system: Pick<GuestSystem, "freeze" | "thaw" | "diskPath"> },
): Promise<void> {
  const { system, tool } = options;
  const device = findDisk(SERIAL);
  if (device === undefined) throw new AtollError("internal", "the user's disk was not found");
  // What was freed a moment ago cannot be forgotten before it is noted on the disk.
  system.freeze();
  system.thaw();
  await run([...tool("sbin/fstrim"), system.diskPath], options);
  system.freeze();
  try {
    await clearFreeBlocks(device, DISCARD_UNIT_BYTES, options);
  } finally {
    system.thaw();
  }
}

/** Overwrites the free blocks of an ext4 that stands still, except where they fill a whole unit. */
export async function clearFreeBlocks(
  device: string,
  unitBytes: number,
  options: ClearOptions,
): Promise<void> {
  const list = await run([...options.tool("sbin/dumpe2fs"), device], options);
  const blockBytes = Number(/^Block size:\s+(\d+)$/m.exec(list)?.[1]);
  const blockCount = Number(/^Block count:\s+(\d+)$/m.exec(list)?.[1]);
  const runs = freeRuns(list);
  const isSound = runs.every(({ first, count }) => count > 0 && first + count <= blockCount);
  if (!(unitBytes % blockBytes === 0) || !isSound) {
    throw new AtollError("internal", "the list of free blocks makes no sense");
  }
  const zeroes = Buffer.alloc(unitBytes);
  await using disk = await open(device, "r+");
  for (const { first, count } of runs.flatMap((free) => withoutWholeUnits(free, unitBytes / blockBytes))) {
    for (let at = first * blockBytes, left = count * blockBytes; left > 0; ) {
      const { bytesWritten } = await disk.write(zeroes, 0, Math.min(left, zeroes.length), at);
      at += bytesWritten;
      left -= bytesWritten;
    }
  }
  await disk.sync();
}

/** Of dumpe2fs: `  Free blocks: 9-31, 545`, once for each group. */
export function freeRuns(list: string): BlockRun[] {
  const runs: BlockRun[] = [];
  for (const [, text = ""] of list.matchAll(/^ {2}Free blocks: *(\S.*)$/gm)) {
    for (const range of text.split(",")) {
      const [first = Number.NaN, last = first] = range.split("-").map(Number);
      runs.push({ first, count: last - first + 1 });
    }
  }
  return runs;
}

/** What of it lies before the first and behind the last border between units. */
export function withoutWholeUnits({ first, count }: BlockRun, unitBlocks: number): BlockRun[] {
  const end = first + count;
  const wholeFrom = Math.ceil(first / unitBlocks) * unitBlocks;
  const wholeTo = Math.floor(end / unitBlocks) * unitBlocks;
  if (wholeFrom >= wholeTo) return [{ first, count }];
  return [
    { first, count: wholeFrom - first },
    { first: wholeTo, count: end - wholeTo },
  ].filter((run) => run.count > 0);
}

/** Answers what it said. */
async function run(argv: string[], { clock, log }: ClearOptions): Promise<string> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  const onOutput = (bytes: Buffer) => {
    sizeBytes += bytes.length;
    if (sizeBytes <= LIST_MAX_BYTES) parts.push(bytes);
  };
  const { exitCode, tail } = await runTool(argv, { clock, timeoutMs: TOOL_TIMEOUT_MS, onOutput });
  if (exitCode === 0 && sizeBytes <= LIST_MAX_BYTES) return Buffer.concat(parts).toString("latin1");
  log(`${argv.join(" ")}: ${exitCode}: ${tail}`);
  throw new AtollError("internal", "free space could not be cleared");
}
