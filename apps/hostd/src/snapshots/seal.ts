/**
 * Sealed form of a byte stream: chunks of at most 1 MiB, each compressed (zstd 1) and encrypted (AES-256-GCM) under a key that
 * seals exactly one stream. A chunk is `length u32` (big endian), ciphertext, tag. Nonces count up; the additional data
 * binds format, workspace, snapshot, disk epoch, position and "last", so that nothing can be cut, moved, repeated or
 * taken from elsewhere without being noticed.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";

import { AtollError } from "@atoll/protocol/atoll-error";
import { releaseBuffer } from "./release-buffer.ts";

export interface SealContext {
  workspaceId: string;
  snapshotId: string;
  epoch: number;
}

const FORMAT = 1;
export const CHUNK_BYTES = 1024 * 1024;
const LENGTH_BYTES = 4;
const TAG_BYTES = 16;
/** Incompressible input grows a little. */
const SEALED_CHUNK_MAX_BYTES = CHUNK_BYTES + 64 * 1024;
/** Chunks being compressed ahead of the one that is written: two for the two cores this is tuned on, one in hand. */
export const AHEAD = 3;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
/** A result in one piece: by default it is gathered 16 KiB at a time, each by a turn of the event loop. */
const chunkSize = SEALED_CHUNK_MAX_BYTES;
export const COMPRESSION = {
  chunkSize,
  params: { [constants.ZSTD_c_compressionLevel]: 1 },
};

/** Pieces to write to the file, in order. */
export async function* seal(
  plain: AsyncIterable<Uint8Array>,
  key: Uint8Array,
  context: SealContext,
): AsyncGenerator<Uint8Array> {
  let index = 0;
  for await (const { value, isLast } of ahead(
    mapLast(inChunks(plain), (chunk) => compress(chunk, COMPRESSION)),
  )) {
    const cipher = createCipheriv("aes-256-gcm", key, nonce(index)).setAAD(
      additionalData(context, index, isLast),
    );
    const header = Buffer.alloc(LENGTH_BYTES);
    header.writeUInt32BE(value.length + TAG_BYTES);
    const encrypted = cipher.update(value);
    releaseBuffer(value);
    yield Buffer.concat([header, encrypted, cipher.final(), cipher.getAuthTag()]);
    index++;
  }
}

export interface ReadOptions {
  /** A piece is the reader's only until it asks for the next: its memory is given back then. */
  lends?: boolean;
}

/** The stream that was sealed. @throws AtollError snapshot.invalid at the first byte that is not what was sealed */
export async function* unseal(
  sealed: AsyncIterable<Uint8Array>,
  key: Uint8Array,
  context: SealContext,
  { lends = false }: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  let index = 0;
  const open = (chunk: Buffer, isLast: boolean) => {
    const decipher = createDecipheriv("aes-256-gcm", key, nonce(index))
      .setAAD(additionalData(context, index, isLast))
      .setAuthTag(chunk.subarray(-TAG_BYTES));
    index++;
    const compressed = decipher.update(chunk.subarray(0, -TAG_BYTES));
    try {
      decipher.final();
    } catch (cause) {
      throw new AtollError("snapshot.invalid", `chunk ${index - 1} is not what was sealed`, { cause });
    }
    const opened = decompress(compressed, { maxOutputLength: CHUNK_BYTES, chunkSize });
    return opened.finally(() => releaseBuffer(compressed));
  };
  for await (const { value } of ahead(mapLast(sealedChunks(sealed), open))) {
    yield value;
    if (lends) releaseBuffer(value);
  }
  if (index === 0) throw new AtollError("snapshot.invalid", "nothing was sealed here");
}

/**
 * Of CHUNK_BYTES at most: small pieces are joined, a piece that is nearly a chunk goes as it is, uncopied, so nobody may
 * write to it any more. At least one chunk, so that even nothing has an authenticated end.
 */
async function* inChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of source) {
    if (piece.length >= CHUNK_BYTES / 2 && piece.length <= CHUNK_BYTES) {
      if (size > 0) yield Buffer.concat(parts, size);
      parts = [];
      size = 0;
      yield piece;
      continue;
    }
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + CHUNK_BYTES - size);
      parts.push(part);
      size += part.length;
      at += part.length;
      if (size < CHUNK_BYTES) continue;
      yield Buffer.concat(parts, size);
      parts = [];
      size = 0;
    }
  }
  yield Buffer.concat(parts, size);
}

async function* sealedChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const piece of source) {
    held =
      held.length === 0
        ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
        : Buffer.concat([held, piece]);
    while (held.length >= LENGTH_BYTES) {
      const size = held.readUInt32BE(0);
      if (size < TAG_BYTES || size > SEALED_CHUNK_MAX_BYTES) {
        throw new AtollError("snapshot.invalid", `sealed chunk of ${size} bytes`);
      }
      if (held.length < LENGTH_BYTES + size) break;
      yield held.subarray(LENGTH_BYTES, LENGTH_BYTES + size);
      held = held.subarray(LENGTH_BYTES + size);
    }
  }
  if (held.length > 0) throw new AtollError("snapshot.invalid", "the sealed stream ended inside a chunk");
}

interface Work<T> {
  /** In an object, because an async generator would wait for a bare promise. */
  result: Promise<{ value: T; isLast: boolean }>;
}

/** Starts `work` on each item, telling it whether the item is the last one: it reads one item ahead. */
async function* mapLast<I, O>(
  source: AsyncIterable<I>,
  work: (item: I, isLast: boolean) => Promise<O>,
): AsyncGenerator<Work<O>> {
  let waiting: { item: I } | undefined;
  const start = (item: I, isLast: boolean) => {
    const result = Promise.resolve()
      .then(() => work(item, isLast))
      .then((value) => ({ value, isLast }));
    // Awaited in order later; until then a failure is not unhandled.
    result.catch(() => {});
    return { result };
  };
  for await (const item of source) {
    if (waiting !== undefined) yield start(waiting.item, false);
    waiting = { item };
  }
  if (waiting !== undefined) yield start(waiting.item, true);
}

/** Keeps AHEAD results in the making and gives them out in order. */
async function* ahead<T>(source: AsyncIterable<Work<T>>): AsyncGenerator<{ value: T; isLast: boolean }> {
  const running: Work<T>[] = [];
  for await (const work of source) {
    running.push(work);
    if (running.length >= AHEAD) yield (running.shift() as Work<T>).result;
  }
  for (const { result } of running) yield result;
}

/** Unique because a key seals one stream only. */
function nonce(index: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(index, 8);
  return bytes;
}

function additionalData(context: SealContext, index: number, isLast: boolean): Buffer {
  return Buffer.from(
    JSON.stringify([FORMAT, context.workspaceId, context.snapshotId, context.epoch, index, isLast]),
  );
}
