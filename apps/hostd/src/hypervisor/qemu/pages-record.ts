/** One record of pages in the making: its table, right before the pages it names. */
import { type GuestMemory, PAGE_BYTES, type PageRun } from "./guest-memory.ts";
import { RUN_BYTES, writePageRuns } from "./page-runs.ts";

/** With their table not more than the 1 MiB that is sealed as a whole; reading, sealing and loading overlap. */
export const PAGES_PER_RECORD = 255;
const COUNT_BYTES = 4;

export class PagesRecord {
  readonly #headerBytes: number;
  readonly #bytes: Buffer;
  readonly #runs: PageRun[] = [];
  /** Behind the longest table there can be: every page a run of its own. */
  readonly #pagesAt: number;
  /** What the base has, to compare with. */
  #same: Buffer | undefined;
  #count = 0;

  /** @param headerBytes left free before the table, for the caller's. */
  constructor(headerBytes: number) {
    this.#headerBytes = headerBytes;
    this.#pagesAt = headerBytes + COUNT_BYTES + PAGES_PER_RECORD * RUN_BYTES;
    this.#bytes = Buffer.allocUnsafe(this.#pagesAt + PAGES_PER_RECORD * PAGE_BYTES);
  }

  get room(): number {
    return PAGES_PER_RECORD - this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** @param run of `room` pages at most @param base pages that are the same there are left out */
  add(
    { first, count }: PageRun,
    memory: Pick<GuestMemory, "read">,
    base: Pick<GuestMemory, "read"> | undefined,
  ): void {
    const pages = this.#bytes.subarray(this.#end, this.#end + count * PAGE_BYTES);
    memory.read(first, pages);
    if (base === undefined) return this.#keep({ first, count });
    this.#same ??= Buffer.allocUnsafe(PAGES_PER_RECORD * PAGE_BYTES);
    const same = this.#same.subarray(0, pages.length);
    base.read(first, same);
    if (same.equals(pages)) return;
    for (let index = 0; index < count; index++) {
      const [start, end] = [index * PAGE_BYTES, (index + 1) * PAGE_BYTES];
      if (same.compare(pages, start, end, start, end) === 0) continue;
      pages.copy(this.#bytes, this.#end, start, end);
      this.#keep({ first: first + index, count: 1 });
    }
  }

  /** Nothing is added any more. */
  take(): Buffer {
    const table = writePageRuns(this.#runs);
    const tableAt = this.#pagesAt - table.length;
    table.copy(this.#bytes, tableAt);
    this.#bytes.writeUInt32BE(this.#runs.length, tableAt - COUNT_BYTES);
    // Pages that were moved lie there still, and whoever wipes what it is given does not see them.
    this.#bytes.fill(0, this.#end);
    return this.#bytes.subarray(tableAt - COUNT_BYTES - this.#headerBytes, this.#end);
  }

  get #end(): number {
    return this.#pagesAt + this.#count * PAGE_BYTES;
  }

  #keep({ first, count }: PageRun): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.first + last.count === first) last.count += count;
    else this.#runs.push({ first, count });
    this.#count += count;
  }
}
