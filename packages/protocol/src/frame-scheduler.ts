/**
 * Orders outgoing frames for one transport: control frames first, then DATA and EVENT round-robin over the
 * streams, so a flood on one stream delays no other. It never holds more than the credit windows allow for
 * data, and a fixed count of control frames.
 */
import { AtollError } from "./atoll-error.ts";
import { encodeFrame, type Frame, FrameKind } from "./frame.ts";
import {
  CONTROL_QUEUE_MAX_FRAMES,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";

/** Returns false when the transport wants no more until `drained()`. */
export type SendBytes = (bytes: Uint8Array) => boolean;

/** Slack over the window: one fragment in flight when the credit ran out, and headers. */
const STREAM_QUEUE_MAX_BYTES = STREAM_WINDOW_BYTES + 64 * 1024;

interface StreamQueue {
  frames: Uint8Array[];
  bytes: number;
}

export class FrameScheduler {
  readonly #send: SendBytes;
  readonly #scratch: Uint8Array<ArrayBuffer> | undefined;
  readonly #control: Uint8Array[] = [];
  /** Insertion order is the round-robin order: a served stream moves to the end. */
  readonly #streams = new Map<number, StreamQueue>();
  #isBlocked = false;

  /** @param isCopying `send` keeps nothing of what it is given: frames that go out at once are then made in one buffer. */
  constructor(send: SendBytes, isCopying = false) {
    this.#send = send;
    this.#scratch = isCopying ? new Uint8Array(FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX_BYTES) : undefined;
  }

  /**
   * Credit, replies and the like overtake data; END and RESET of a stream with queued data keep their place.
   * @throws AtollError link.protocol when a stream exceeds its window: its sender ignored the credit.
   */
  enqueue(frame: Frame): void {
    // Nothing waits, so there is no order to keep.
    if (!this.#isBlocked && this.#control.length === 0 && this.#streams.size === 0) {
      if (!this.#send(encodeFrame(frame, this.#scratch))) this.#isBlocked = true;
      return;
    }
    const bytes = encodeFrame(frame);
    const queue = this.#streams.get(frame.streamId);
    const isOrdered =
      frame.kind === FrameKind.data ||
      frame.kind === FrameKind.event ||
      (queue !== undefined && (frame.kind === FrameKind.end || frame.kind === FrameKind.reply));
    if (!isOrdered) {
      if (frame.kind === FrameKind.reset) this.#streams.delete(frame.streamId);
      if (this.#control.length >= CONTROL_QUEUE_MAX_FRAMES) {
        throw new AtollError("link.protocol", "peer does not read control frames");
      }
      this.#control.push(bytes);
    } else if (queue === undefined) {
      this.#streams.set(frame.streamId, { frames: [bytes], bytes: bytes.length });
    } else {
      if (queue.bytes + bytes.length > STREAM_QUEUE_MAX_BYTES + queue.frames.length * FRAME_HEADER_BYTES) {
        throw new AtollError("link.protocol", `stream ${frame.streamId} wrote past its window`);
      }
      queue.frames.push(bytes);
      queue.bytes += bytes.length;
    }
    this.#flush();
  }

  drained(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  #flush(): void {
    while (!this.#isBlocked) {
      const bytes = this.#next();
      if (bytes === undefined) return;
      if (!this.#send(bytes)) this.#isBlocked = true;
    }
  }

  #next(): Uint8Array | undefined {
    const control = this.#control.shift();
    if (control !== undefined) return control;
    for (const [streamId, queue] of this.#streams) {
      this.#streams.delete(streamId);
      const bytes = queue.frames.shift();
      if (bytes === undefined) continue;
      queue.bytes -= bytes.length;
      if (queue.frames.length > 0) this.#streams.set(streamId, queue);
      return bytes;
    }
    return undefined;
  }
}
