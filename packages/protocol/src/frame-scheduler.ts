/**
 * Orders outgoing frames for one transport: control frames first, then DATA and EVENT round-robin over the
 * streams, so a flood on one stream delays no other. It never holds more than the credit windows allow for
 * data, and a fixed count and size of control frames.
 */
import { AtollError } from "./atoll-error.ts";
import { encodeFrame, type Frame, FrameKind } from "./frame.ts";
import {
  CONTROL_QUEUE_MAX_BYTES,
  CONTROL_QUEUE_MAX_FRAMES,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
} from "./limits.ts";
import { StreamQueue } from "./stream-queue.ts";

/** Returns false when the transport wants no more until `drained()`. */
export type SendBytes = (bytes: Uint8Array) => boolean;

export class FrameScheduler {
  readonly #send: SendBytes;
  readonly #scratch: Uint8Array<ArrayBuffer> | undefined;
  readonly #control: Uint8Array[] = [];
  /** Of the control frames, and of replies wherever they wait. */
  #controlBytes = 0;
  /** Insertion order is the round-robin order: a served stream moves to the end. */
  readonly #streams = new Map<number, StreamQueue>();
  #isBlocked = false;

  /** @param isCopying `send` keeps nothing of what it is given: frames that go out at once are then made in one buffer. */
  constructor(send: SendBytes, isCopying = false) {
    this.#send = send;
    this.#scratch = isCopying ? new Uint8Array(FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX_BYTES) : undefined;
  }

  /** Whether the writer of this stream sends crumbs: then `enqueue` would throw. */
  isCrowded(streamId: number): boolean {
    return this.#streams.get(streamId)?.isCrowded === true;
  }

  /**
   * Credit, replies and the like overtake data; END and REPLY of a stream with queued data keep their place.
   * @throws AtollError link.protocol when a stream exceeds its window, or the peer does not read what is not data
   */
  enqueue(frame: Frame): void {
    // Nothing waits, so there is no order to keep.
    if (!this.#isBlocked && this.#control.length === 0 && this.#streams.size === 0) {
      if (!this.#send(encodeFrame(frame, this.#scratch))) this.#isBlocked = true;
      return;
    }
    const queue = this.#streams.get(frame.streamId);
    const canOvertake = !isOrdered(frame) && (queue === undefined || !keepsPlace(frame));
    if (canOvertake || frame.kind === FrameKind.reply) this.#countControl(frame);
    if (canOvertake) {
      if (frame.kind === FrameKind.reset) this.#drop(frame.streamId, queue);
      this.#control.push(encodeFrame(frame));
    } else if (queue === undefined) {
      const added = new StreamQueue();
      added.add(frame);
      this.#streams.set(frame.streamId, added);
    } else {
      if (queue.isCrowded || !queue.hasRoom(frame))
        throw new AtollError("link.protocol", `stream ${frame.streamId} wrote past its window`);
      queue.add(frame);
    }
    this.#flush();
  }

  drained(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  #countControl({ payload }: Frame): void {
    const bytes = this.#controlBytes + FRAME_HEADER_BYTES + payload.length;
    if (bytes > CONTROL_QUEUE_MAX_BYTES || this.#control.length >= CONTROL_QUEUE_MAX_FRAMES)
      throw new AtollError("link.protocol", "peer does not read control frames");
    this.#controlBytes = bytes;
  }

  #drop(streamId: number, queue: StreamQueue | undefined): void {
    if (queue === undefined) return;
    this.#controlBytes -= queue.replyBytes;
    this.#streams.delete(streamId);
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
    if (control !== undefined) {
      this.#controlBytes -= control.length;
      return control;
    }
    for (const [streamId, queue] of this.#streams) {
      this.#streams.delete(streamId);
      const chunk = queue.shift();
      if (chunk === undefined) continue;
      this.#controlBytes -= chunk.replyBytes;
      if (!queue.isEmpty) this.#streams.set(streamId, queue);
      return chunk.bytes;
    }
    return undefined;
  }
}

function isOrdered({ kind }: Frame): boolean {
  return kind === FrameKind.data || kind === FrameKind.event;
}

/** Behind what its stream has queued. */
function keepsPlace({ kind }: Frame): boolean {
  return kind === FrameKind.end || kind === FrameKind.reply;
}
