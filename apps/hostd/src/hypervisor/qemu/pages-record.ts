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

  /** @param run of `room` pages at most */
  read({ first, count }: PageRun, memory: Pick<GuestMemory, "read">): void {
    memory.read(first, this.#bytes.subarray(this.#end, this.#end + count * PAGE_BYTES));
    this.#keep({ first, count });
  }

  /** @param pages `room` at most, whole */
  add(first: number, pages: Buffer): void {
    pages.copy(this.#bytes, this.#end);
    this.#keep({ first, count: pages.length / PAGE_BYTES });
  }

  /** Nothing is added any more. */
  take(): Buffer {
    const table = writePageRuns(this.#runs);
    const tableAt = this.#pagesAt - table.length;
    table.copy(this.#bytes, tableAt);
    this.#bytes.writeUInt32BE(this.#runs.length, tableAt - COUNT_BYTES);
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
