/**
 * The byte stream that stands for a stopped machine: records of `type u8, length u32` (big endian), first the devices as
 * QEMU writes them, then changed pages, then an end mark. A pages record is `run count u32`, the runs as
 * `first page u32, count u32`, and the pages themselves. Confidentiality and integrity are the caller's: what is read
 * back here was authenticated, but a length is still checked before it is used.
 */
import { AtollError } from "@atoll/protocol/atoll-error";
import { differingPages, type PageSource } from "./differing-pages.ts";
import { type GuestMemory, PAGE_BYTES, type PageRun } from "./guest-memory.ts";
import { PagesRecord } from "./pages-record.ts";

const RecordType = { devices: 1, pages: 2, end: 3 } as const;
const HEADER_BYTES = 5;

/** Devices of this machine take 250 KB. */
const RECORD_MAX_BYTES = 16 * 1024 * 1024;

export interface SavedPages {
  /** In order, each page once. */
  runs: readonly PageRun[];
  /** What the state loads over, where pages may be the same there: those are left out. */
  base?: PageSource | undefined;
}

export async function* writeSavedState(
  devices: Uint8Array,
  memory: Pick<GuestMemory, "read" | "readLater">,
  { runs, base }: SavedPages,
): AsyncGenerator<Uint8Array> {
  yield record(RecordType.devices, [devices]);
  yield* base === undefined ? wholeRuns(runs, memory) : differingRuns(runs, memory, base);
  yield record(RecordType.end, []);
}

function* wholeRuns(runs: readonly PageRun[], memory: Pick<GuestMemory, "read">): Generator<Buffer> {
  let pages = new PagesRecord(HEADER_BYTES);
  for (const { first, count } of runs) {
    for (let done = 0; done < count; ) {
      const taken = Math.min(pages.room, count - done);
      pages.read({ first: first + done, count: taken }, memory);
      done += taken;
      if (pages.room > 0) continue;
      yield withHeader(pages.take());
      pages = new PagesRecord(HEADER_BYTES);
    }
  }
  if (!pages.isEmpty) yield withHeader(pages.take());
}

async function* differingRuns(
  runs: readonly PageRun[],
  memory: PageSource,
  base: PageSource,
): AsyncGenerator<Buffer> {
  let pages = new PagesRecord(HEADER_BYTES);
  for await (const { first, bytes } of differingPages(runs, memory, base)) {
    for (let done = 0; done < bytes.length; ) {
      const taken = Math.min(pages.room * PAGE_BYTES, bytes.length - done);
      pages.add(first + done / PAGE_BYTES, bytes.subarray(done, done + taken));
      done += taken;
      if (pages.room > 0) continue;
      yield withHeader(pages.take());
      pages = new PagesRecord(HEADER_BYTES);
    }
  }
  if (!pages.isEmpty) yield withHeader(pages.take());
}

function withHeader(bytes: Buffer): Buffer {
  writeHeader(bytes, RecordType.pages, bytes.length - HEADER_BYTES);
  return bytes;
}

/** Devices of the second, pages of both: what is changed comes again, later, and counts. */
export async function* joinSavedStates(
  base: AsyncIterable<Uint8Array>,
  over: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const readers = [new RecordReader(base), new RecordReader(over)] as const;
  await readers[0].expect(RecordType.devices);
  yield record(RecordType.devices, [await readers[1].expect(RecordType.devices)]);
  for (const reader of readers) {
    for (;;) {
      const { type, body } = await reader.next();
      if (type === RecordType.end) break;
      if (type !== RecordType.pages) throw misplaced(type);
      const header = Buffer.alloc(HEADER_BYTES);
      writeHeader(header, type, body.length);
      yield header;
      yield body;
    }
    await reader.expectEnd();
  }
  yield record(RecordType.end, []);
}

export interface SavedStateTarget {
  /** Called once, before any page. */
  onDevices(bytes: Uint8Array): Promise<void>;
  onPages(first: number, bytes: Uint8Array): void;
}

/** @throws AtollError snapshot.invalid when the stream is not one that `writeSavedState` made. */
export async function readSavedState(
  stream: AsyncIterable<Uint8Array>,
  target: SavedStateTarget,
): Promise<void> {
  const reader = new RecordReader(stream);
  let hasDevices = false;
  for (;;) {
    const { type, body } = await reader.next();
    if (type === RecordType.end && hasDevices) return reader.expectEnd();
    if (type === RecordType.devices && !hasDevices) {
      hasDevices = true;
      await target.onDevices(body);
    } else if (type === RecordType.pages && hasDevices) readPages(body, target);
    else throw misplaced(type);
  }
}

function misplaced(type: number): AtollError {
  return new AtollError("snapshot.invalid", `record of type ${type} in the wrong place`);
}

function readPages(body: Buffer, target: SavedStateTarget): void {
  const runCount = body.length >= 4 ? body.readUInt32BE(0) : Number.NaN;
  let at = 4 + runCount * 8;
  if (!(at <= body.length)) throw new AtollError("snapshot.invalid", "pages without their table");
  for (let index = 0; index < runCount; index++) {
    const first = body.readUInt32BE(4 + index * 8);
    const end = at + body.readUInt32BE(8 + index * 8) * PAGE_BYTES;
    if (end > body.length) throw new AtollError("snapshot.invalid", "pages are missing");
    target.onPages(first, body.subarray(at, end));
    at = end;
  }
  if (at !== body.length) throw new AtollError("snapshot.invalid", "pages without a place");
}

function record(type: number, parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER_BYTES);
  writeHeader(header, type, body.length);
  return Buffer.concat([header, body]);
}

function writeHeader(target: Buffer, type: number, lengthBytes: number): void {
  target.writeUInt8(type, 0);
  target.writeUInt32BE(lengthBytes, 1);
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

/**
 * Takes records out of a stream at any chunk boundary. Holds at most one record and one chunk; what it gave out, and a
 * chunk of the stream, is good until the next is asked for.
 */
class RecordReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#source = stream[Symbol.asyncIterator]();
  }

  async next(): Promise<{ type: number; body: Buffer }> {
    const header = await this.#take(HEADER_BYTES);
    const lengthBytes = header.readUInt32BE(1);
    if (lengthBytes > RECORD_MAX_BYTES)
      throw new AtollError("snapshot.invalid", `record of ${lengthBytes} bytes`);
    return { type: header.readUInt8(0), body: await this.#take(lengthBytes) };
  }

  async expect(expected: number): Promise<Buffer> {
    const { type, body } = await this.next();
    if (type !== expected) throw misplaced(type);
    return body;
  }

  async expectEnd(): Promise<void> {
    const { done } = await this.#source.next();
    if (this.#held.length > 0 || !done) throw new AtollError("snapshot.invalid", "bytes behind the end");
  }

  async #take(count: number): Promise<Buffer> {
    if (this.#held.length < count) {
      // A record mostly comes as a chunk of its own, which is read where it lies.
      const parts: Uint8Array[] = this.#held.length === 0 ? [] : [Buffer.from(this.#held)];
      for (let have = this.#held.length; have < count; ) {
        const { done, value } = await this.#source.next();
        if (done) throw new AtollError("snapshot.invalid", "the saved state ended early");
        have += value.length;
        parts.push(have < count ? Buffer.from(value) : value);
      }
      const [first] = parts;
      this.#held = parts.length === 1 && first !== undefined ? asBuffer(first) : Buffer.concat(parts);
    }
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }
}
