/**
 * Guest RAM of a live QEMU, seen through /proc. The RAM is a private mapping of a file (the template's, or an empty
 * one), so the kernel itself knows which pages the guest ever changed: they are anonymous, all others still belong to
 * the file. That makes saving a machine a matter of its changed pages only, and nothing is written anywhere to find them.
 */
import { readSync, writeSync } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";

export const PAGE_BYTES = 4096;

/** Bits of an entry of /proc/<pid>/pagemap, in its upper 32-bit word. */
const PRESENT = 1 << 31;
const SWAPPED = 1 << 30;
const FILE_OR_SHARED = 1 << 29;

/** Consecutive pages; `first` counts from the start of guest RAM. */
export interface PageRun {
  first: number;
  count: number;
}

interface Mapping {
  /** Host virtual addresses; below 2^47, so exact as numbers. */
  start: number;
  end: number;
  fileOffset: number;
}

/** Entries of the page map read at once: 512 MB of guest RAM. */
const PAGEMAP_STEP = 131_072;

export class GuestMemory implements AsyncDisposable {
  readonly #pid: number;
  readonly #mappings: readonly Mapping[];
  readonly #memory: FileHandle;

  private constructor(pid: number, mappings: readonly Mapping[], memory: FileHandle) {
    this.#pid = pid;
    this.#mappings = mappings;
    this.#memory = memory;
  }

  /** @param ramPath the file behind the guest's RAM, found again in the process by inode. */
  static async open(pid: number, ramPath: string): Promise<GuestMemory> {
    const [{ ino, size }, maps] = await Promise.all([
      stat(ramPath, { bigint: true }),
      readFile(`/proc/${pid}/maps`, "latin1"),
    ]);
    const mappings = parseMaps(maps, ino);
    const mappedBytes = mappings.reduce((sum, { start, end }) => sum + end - start, 0);
    if (mappedBytes !== Number(size)) {
      throw new AtollError(
        "vm.monitor_failed",
        `${mappedBytes} bytes of guest RAM are mapped instead of ${size}`,
      );
    }
    return new GuestMemory(pid, mappings, await open(`/proc/${pid}/mem`, "r+"));
  }

  /** Pages the guest changed, in order. Only meaningful while its vCPUs are stopped. */
  async changedRuns(): Promise<PageRun[]> {
    const runs: PageRun[] = [];
    await using pagemap = await open(`/proc/${this.#pid}/pagemap`, "r");
    for (const { start, end, fileOffset } of this.#mappings) {
      const pageCount = (end - start) / PAGE_BYTES;
      const entries = Buffer.alloc(Math.min(pageCount, PAGEMAP_STEP) * 8);
      for (let done = 0; done < pageCount; done += PAGEMAP_STEP) {
        const count = Math.min(PAGEMAP_STEP, pageCount - done);
        const { bytesRead } = await pagemap.read(entries, 0, count * 8, (start / PAGE_BYTES + done) * 8);
        if (bytesRead !== count * 8) throw new AtollError("vm.gone", "the page map ended early");
        appendRuns(runs, entries.subarray(0, bytesRead), fileOffset / PAGE_BYTES + done);
      }
    }
    return runs;
  }

  /** Synchronous, like `write`: copying a run takes microseconds, handing it to a thread takes longer. */
  read(first: number, target: Uint8Array): void {
    const address = this.#addressOf(first, target.length);
    const bytesRead = readSync(this.#memory.fd, target, 0, target.length, address);
    if (bytesRead !== target.length) throw new AtollError("vm.gone", "guest RAM could not be read");
  }

  /** On another thread, for much at once. The target is the reader's until this settles. */
  async readLater(first: number, target: Uint8Array): Promise<void> {
    const address = this.#addressOf(first, target.length);
    const { bytesRead } = await this.#memory.read(target, 0, target.length, address);
    if (bytesRead !== target.length) throw new AtollError("vm.gone", "guest RAM could not be read");
  }

  write(first: number, bytes: Uint8Array): void {
    const address = this.#addressOf(first, bytes.length);
    const bytesWritten = writeSync(this.#memory.fd, bytes, 0, bytes.length, address);
    if (bytesWritten !== bytes.length) throw new AtollError("vm.gone", "guest RAM could not be written");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#memory.close();
  }

  #addressOf(firstPage: number, lengthBytes: number): number {
    const offset = firstPage * PAGE_BYTES;
    for (const { start, end, fileOffset } of this.#mappings) {
      const address = start + offset - fileOffset;
      if (offset >= fileOffset && address + lengthBytes <= end) return address;
    }
    throw new RangeError(`page ${firstPage} with ${lengthBytes} bytes is no guest RAM`);
  }
}

/** The device is left out: some file systems show another one here than stat does. The size is checked instead. */
export function parseMaps(maps: string, ino: bigint): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of maps.split("\n")) {
    const fields = /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ (\d+)/.exec(line);
    if (fields === null || fields[4] !== `${ino}`) continue;
    const [start, end, fileOffset] = fields.slice(1, 4).map((digits) => Number.parseInt(digits, 16));
    mappings.push({ start: start as number, end: end as number, fileOffset: fileOffset as number });
  }
  return mappings;
}

/** Adds the changed pages among `entries` (8 bytes each, little endian), joining a run that began before. */
export function appendRuns(runs: PageRun[], entries: Buffer, firstPage: number): void {
  const words = new Uint32Array(entries.buffer, entries.byteOffset, entries.length / 4);
  let last = runs.at(-1);
  for (let index = 0; index < words.length / 2; index++) {
    const flags = words[index * 2 + 1] as number;
    const isChanged = (flags & SWAPPED) !== 0 || (flags & (PRESENT | FILE_OR_SHARED)) === PRESENT;
    if (!isChanged) continue;
    const page = firstPage + index;
    if (last !== undefined && last.first + last.count === page) last.count++;
    else {
      last = { first: page, count: 1 };
      runs.push(last);
    }
  }
}
