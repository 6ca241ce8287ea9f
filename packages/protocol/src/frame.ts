/**
 * A frame is the unit that every hop routes: an 8-byte header (kind u8, flags u8, length u16, stream u32,
 * big endian) and a payload that only the two ends of a stream read.
 */
import { AtollError } from "./atoll-error.ts";
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_MAX_BYTES } from "./limits.ts";

export const FrameKind = {
  /** Stream 0: the handshake of a link or session, JSON. */
  hello: 1,
  /** First frame of a stream: JSON `{name, params}`, never fragmented, so that a hop can authorise it. */
  open: 2,
  /** The acceptor's one answer, JSON `{ok}`; may be fragmented. */
  reply: 3,
  /** Bytes; uses credit. */
  data: 4,
  /** JSON in order with the data; uses credit; may be fragmented. */
  event: 5,
  /** u32: bytes the reader is ready to take on top. */
  credit: 6,
  /** The sender writes no more; the other direction goes on. */
  end: 7,
  /** The stream is over in both directions, JSON wire error. On stream 0: the connection is. */
  reset: 8,
  /** Stream 0: echoed as pong with the same payload. */
  ping: 9,
  pong: 10,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export const FrameFlag = {
  /** The JSON message goes on in the next frame of this stream. */
  more: 1,
  /** Data of the second output (stderr). */
  secondary: 2,
} as const;

export interface Frame {
  kind: FrameKind;
  flags: number;
  streamId: number;
  payload: Uint8Array;
}

const LAST_KIND = FrameKind.pong;
const KNOWN_FLAGS = FrameFlag.more | FrameFlag.secondary;

/** @param target where to, if not into memory of its own; has room for the largest frame. */
export function encodeFrame(frame: Frame, target?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { payload } = frame;
  if (payload.length > FRAME_PAYLOAD_MAX_BYTES) throw new RangeError(`payload of ${payload.length} bytes`);
  const size = FRAME_HEADER_BYTES + payload.length;
  const bytes = target === undefined ? new Uint8Array(size) : target.subarray(0, size);
  bytes[0] = frame.kind;
  bytes[1] = frame.flags;
  bytes[2] = payload.length >>> 8;
  bytes[3] = payload.length & 0xff;
  bytes[4] = frame.streamId >>> 24;
  bytes[5] = (frame.streamId >>> 16) & 0xff;
  bytes[6] = (frame.streamId >>> 8) & 0xff;
  bytes[7] = frame.streamId & 0xff;
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** Splits a byte stream into frames at any chunk boundary. Holds at most one partial frame. */
export class FrameReader {
  #partial: Uint8Array | undefined;

  /** Payloads are views of `chunk` where they lie whole in it: copy to keep them past the next read buffer reuse. */
  push(chunk: Uint8Array): Frame[] {
    let bytes = chunk;
    if (this.#partial !== undefined) {
      bytes = new Uint8Array(this.#partial.length + chunk.length);
      bytes.set(this.#partial);
      bytes.set(chunk, this.#partial.length);
      this.#partial = undefined;
    }
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const kind = bytes[at] as number;
      const flags = bytes[at + 1] as number;
      if (kind < 1 || kind > LAST_KIND || (flags & ~KNOWN_FLAGS) !== 0) {
        throw new AtollError("link.protocol", `frame of kind ${kind} with flags ${flags}`);
      }
      const length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
      const end = at + FRAME_HEADER_BYTES + length;
      if (end > bytes.length) break;
      const streamId =
        (((bytes[at + 4] as number) << 24) |
          ((bytes[at + 5] as number) << 16) |
          ((bytes[at + 6] as number) << 8) |
          (bytes[at + 7] as number)) >>>
        0;
      frames.push({
        kind: kind as FrameKind,
        flags,
        streamId,
        payload: bytes.subarray(at + FRAME_HEADER_BYTES, end),
      });
      at = end;
    }
    if (at < bytes.length) this.#partial = bytes.slice(at);
    return frames;
  }

  reset(): void {
    this.#partial = undefined;
  }
}
