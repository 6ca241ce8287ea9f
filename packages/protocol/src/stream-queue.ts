import { encodeFrame, type Frame, FrameKind } from "./frame.ts";
import {
  DATA_PAYLOAD_MAX_BYTES,
  FRAME_HEADER_BYTES,
  STREAM_QUEUE_MAX_FRAMES,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";

/** Slack over the window: one fragment in flight when the credit ran out. */
const QUEUE_MAX_BYTES = STREAM_WINDOW_BYTES + 64 * 1024;
/** One turn of the round robin. */
const CHUNK_BYTES = FRAME_HEADER_BYTES + DATA_PAYLOAD_MAX_BYTES;
const NO_DATA = -1;

interface Chunk {
  bytes: Uint8Array<ArrayBuffer>;
  usedBytes: number;
  frameCount: number;
  /** Payload that the stream's window pays for. */
  windowBytes: number;
  /** Frames of replies: the control queue's bound pays for them. */
  replyBytes: number;
  /** Where its last frame begins, if that is DATA and may still grow. */
  dataAt: number;
}

/**
 * Frames of one stream that wait for a slow transport, encoded and packed into chunks, with neighbouring DATA made one:
 * small frames must not cost more memory than the window they take.
 */
export class StreamQueue {
  readonly #chunks: Chunk[] = [];
  #windowBytes = 0;
  #frameCount = 0;

  /** More frames than a window full of messages: their writer sends crumbs. */
  get isCrowded(): boolean {
    return this.#frameCount >= STREAM_QUEUE_MAX_FRAMES;
  }

  /** False when the writer ignored its credit, or the reader gave credit for what it has not read. */
  hasRoom(frame: Frame): boolean {
    return this.#windowBytes + windowBytes(frame) <= QUEUE_MAX_BYTES;
  }

  add(frame: Frame): void {
    const { payload } = frame;
    this.#windowBytes += windowBytes(frame);
    const last = this.#chunks.at(-1);
    if (last !== undefined && frame.kind === FrameKind.data && this.#join(last, frame)) return;
    this.#frameCount += 1;
    const size = FRAME_HEADER_BYTES + payload.length;
    const chunk = last !== undefined && last.usedBytes + size <= CHUNK_BYTES ? last : newChunk(size);
    if (chunk !== last) this.#chunks.push(chunk);
    reserve(chunk, chunk.usedBytes + size);
    encodeFrame(frame, chunk.bytes.subarray(chunk.usedBytes));
    chunk.dataAt = frame.kind === FrameKind.data ? chunk.usedBytes : NO_DATA;
    chunk.usedBytes += size;
    chunk.frameCount += 1;
    chunk.windowBytes += windowBytes(frame);
    if (frame.kind === FrameKind.reply) chunk.replyBytes += size;
  }

  /** Whole frames, at most about the largest DATA frame of them. */
  shift(): { bytes: Uint8Array; replyBytes: number } | undefined {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return undefined;
    this.#windowBytes -= chunk.windowBytes;
    this.#frameCount -= chunk.frameCount;
    return { bytes: chunk.bytes.subarray(0, chunk.usedBytes), replyBytes: chunk.replyBytes };
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Of everything still here. */
  get replyBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.replyBytes, 0);
  }

  #join(chunk: Chunk, { payload, flags }: Frame): boolean {
    const at = chunk.dataAt;
    if (at === NO_DATA || chunk.bytes[at + 1] !== flags || chunk.usedBytes + payload.length > CHUNK_BYTES)
      return false;
    reserve(chunk, chunk.usedBytes + payload.length);
    chunk.bytes.set(payload, chunk.usedBytes);
    chunk.usedBytes += payload.length;
    chunk.windowBytes += payload.length;
    const length = chunk.usedBytes - at - FRAME_HEADER_BYTES;
    chunk.bytes[at + 2] = length >>> 8;
    chunk.bytes[at + 3] = length & 0xff;
    return true;
  }
}

function windowBytes({ kind, payload }: Frame): number {
  return kind === FrameKind.data || kind === FrameKind.event ? payload.length : 0;
}

function newChunk(size: number): Chunk {
  return {
    bytes: new Uint8Array(size),
    usedBytes: 0,
    frameCount: 0,
    windowBytes: 0,
    replyBytes: 0,
    dataAt: NO_DATA,
  };
}

function reserve(chunk: Chunk, size: number): void {
  if (size <= chunk.bytes.length) return;
  const grown = new Uint8Array(Math.min(2 * size, Math.max(size, CHUNK_BYTES)));
  grown.set(chunk.bytes.subarray(0, chunk.usedBytes));
  chunk.bytes = grown;
}
