/**
 * A ZIP archive written as a stream: sizes and checksums follow each entry's data, the directory comes last. Everything
 * is in the 64-bit form where it has to be. Of what was written only the directory's records are kept.
 */
import { once } from "node:events";
import { crc32, createDeflateRaw } from "node:zlib";

export interface ZipEntry {
  /** With `/` between names, and at the end of a folder's. */
  name: Uint8Array;
  /** As of Unix, with the kind of file. */
  mode: number;
  modifiedAtMs: number;
}

const LOCAL = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const END_64_LOCATOR = 0x07064b50;
/** Sizes follow the data; names are UTF-8. */
const FLAGS = 0x0808;
/** 4.5: the first with 64-bit sizes. */
const VERSION = 45;
const MADE_BY_UNIX = 3 << 8;
const DEFLATE = 8;
const MAX_32 = 0xffff_ffff;
const MAX_16 = 0xffff;
/** Half the size costs a tenth of the time of the best compression; a guest may be emulated. */
const LEVEL = 1;

export class ZipArchive {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  readonly #central: Buffer[] = [];
  #offset = 0;

  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  get entryCount(): number {
    return this.#central.length;
  }

  /** One at a time. When `content` throws, what came of it stays and is an entry. */
  async add(entry: ZipEntry, content: AsyncIterable<Uint8Array>): Promise<void> {
    const startOffset = this.#offset;
    await this.#put(local(entry));
    const sizes = await this.#deflate(content);
    await this.#put(descriptor(sizes));
    this.#central.push(central(entry, sizes, startOffset));
    if (sizes.error !== undefined) throw sizes.error;
  }

  async finish(): Promise<void> {
    const startOffset = this.#offset;
    for (const record of this.#central) await this.#put(record);
    await this.#put(end(this.#central.length, startOffset, this.#offset - startOffset));
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#offset += bytes.length;
    await this.#write(bytes);
  }

  async #deflate(content: AsyncIterable<Uint8Array>): Promise<Sizes> {
    const startOffset = this.#offset;
    const deflate = createDeflateRaw({ level: LEVEL });
    const written = (async () => {
      for await (const chunk of deflate) await this.#put(chunk as Buffer);
    })();
    written.catch(() => deflate.destroy());
    let crc = 0;
    let sizeBytes = 0;
    let error: unknown;
    try {
      for await (const chunk of content) {
        crc = crc32(chunk, crc);
        sizeBytes += chunk.length;
        if (!deflate.write(chunk)) await Promise.race([once(deflate, "drain"), written]);
      }
    } catch (cause) {
      error = cause;
    }
    deflate.end();
    await written;
    return { crc, sizeBytes, packedBytes: this.#offset - startOffset, error };
  }
}

interface Sizes {
  crc: number;
  sizeBytes: number;
  packedBytes: number;
  error: unknown;
}

function local(entry: ZipEntry): Buffer {
  // The size fields are in the descriptor; an empty 64-bit field here says that it has eight bytes for each.
  const extra = Buffer.alloc(20);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(16, 2);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(LOCAL, 0);
  head.writeUInt16LE(VERSION, 4);
  head.writeUInt16LE(FLAGS, 6);
  head.writeUInt16LE(DEFLATE, 8);
  writeTime(head, 10, entry.modifiedAtMs);
  head.writeUInt32LE(MAX_32, 18);
  head.writeUInt32LE(MAX_32, 22);
  head.writeUInt16LE(entry.name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, entry.name, extra]);
}

function descriptor({ crc, packedBytes, sizeBytes }: Sizes): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(DESCRIPTOR, 0);
  bytes.writeUInt32LE(crc, 4);
  bytes.writeBigUInt64LE(BigInt(packedBytes), 8);
  bytes.writeBigUInt64LE(BigInt(sizeBytes), 16);
  return bytes;
}

function central(entry: ZipEntry, { crc, packedBytes, sizeBytes }: Sizes, offset: number): Buffer {
  const extra = Buffer.alloc(28);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(24, 2);
  extra.writeBigUInt64LE(BigInt(sizeBytes), 4);
  extra.writeBigUInt64LE(BigInt(packedBytes), 12);
  extra.writeBigUInt64LE(BigInt(offset), 20);
  const head = Buffer.alloc(46);
  head.writeUInt32LE(CENTRAL, 0);
  head.writeUInt16LE(MADE_BY_UNIX | VERSION, 4);
  head.writeUInt16LE(VERSION, 6);
  head.writeUInt16LE(FLAGS, 8);
  head.writeUInt16LE(DEFLATE, 10);
  writeTime(head, 12, entry.modifiedAtMs);
  head.writeUInt32LE(crc, 16);
  head.writeUInt32LE(MAX_32, 20);
  head.writeUInt32LE(MAX_32, 24);
  head.writeUInt16LE(entry.name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE((entry.mode << 16) >>> 0, 38);
  head.writeUInt32LE(MAX_32, 42);
  return Buffer.concat([head, entry.name, extra]);
}

function end(count: number, offset: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(56 + 20 + 22);
  bytes.writeUInt32LE(END_64, 0);
  bytes.writeBigUInt64LE(44n, 4);
  bytes.writeUInt16LE(MADE_BY_UNIX | VERSION, 12);
  bytes.writeUInt16LE(VERSION, 14);
  bytes.writeBigUInt64LE(BigInt(count), 24);
  bytes.writeBigUInt64LE(BigInt(count), 32);
  bytes.writeBigUInt64LE(BigInt(sizeBytes), 40);
  bytes.writeBigUInt64LE(BigInt(offset), 48);
  bytes.writeUInt32LE(END_64_LOCATOR, 56);
  bytes.writeBigUInt64LE(BigInt(offset + sizeBytes), 64);
  bytes.writeUInt32LE(1, 72);
  bytes.writeUInt32LE(END, 76);
  bytes.writeUInt16LE(Math.min(count, MAX_16), 84);
  bytes.writeUInt16LE(Math.min(count, MAX_16), 86);
  bytes.writeUInt32LE(Math.min(sizeBytes, MAX_32), 88);
  bytes.writeUInt32LE(Math.min(offset, MAX_32), 92);
  return bytes;
}

/** Time and date of DOS, in UTC, from 1980 to 2107. */
function writeTime(bytes: Buffer, at: number, modifiedAtMs: number): void {
  const date = new Date(Math.min(Math.max(modifiedAtMs, Date.UTC(1980, 0, 1)), Date.UTC(2107, 11, 31)));
  const time = (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  const day = ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  bytes.writeUInt16LE(time, at);
  bytes.writeUInt16LE(day, at + 2);
}
