/**
 * One end of a stream: a single reply, then bytes and events in order under credit flow control.
 * The peer may have STREAM_WINDOW_BYTES in flight; reading an item gives the credit back.
 * Length: sending, receiving and ending share one state; apart they would be three classes that reach into each other.
 */
import { deferred } from "@atoll/base/deferred";
import { AtollError, toAtollError } from "./atoll-error.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { type Frame, FrameFlag, FrameKind } from "./frame.ts";
import { ItemQueue, type QueuedItem, type StreamItem } from "./item-queue.ts";
import { decodeJson, encodeJson } from "./json-payload.ts";
import {
  CREDIT_STEP_BYTES,
  DATA_PAYLOAD_MAX_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
  MESSAGE_MAX_BYTES,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";
import { MessageAssembler } from "./message-assembler.ts";
import type { StreamEnd } from "./mux.ts";

export interface MuxStreamOptions {
  streamId: number;
  send: (frame: Frame) => void;
  forget: () => void;
  /** The connection's, for fragmented messages. */
  budget: ByteBudget;
  /** The peer may send primary bytes only: its events and second output are faults. */
  isPlain?: boolean | undefined;
}

export class MuxStream implements StreamEnd, AsyncIterable<StreamItem> {
  readonly streamId: number;
  readonly #send: (frame: Frame) => void;
  readonly #forget: () => void;
  readonly #reply = deferred<unknown>();
  readonly #closed = deferred<AtollError | undefined>();
  readonly #incoming = new ItemQueue();
  readonly #budget: ByteBudget;
  readonly #assembler: MessageAssembler;
  readonly #isPlain: boolean;
  #takeNow: ((item: StreamItem) => void) | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: Array<() => void> = [];
  #writable = STREAM_WINDOW_BYTES;
  #readableLeft = STREAM_WINDOW_BYTES;
  #consumed = 0;
  /** Credit of fragments that arrived while their reader had something to read. */
  #withheld = 0;
  #peerEnded = false;
  #weEnded = false;
  #error: AtollError | undefined;
  #isOver = false;
  #hasReply = false;
  /** Nobody waits for a reply any more. Errors cost a stack trace, so none is made for a promise that is settled. */
  #isReplySettled = false;

  constructor(options: MuxStreamOptions) {
    this.streamId = options.streamId;
    this.#send = options.send;
    this.#forget = options.forget;
    this.#budget = options.budget;
    this.#assembler = new MessageAssembler(options.budget);
    this.#isPlain = options.isPlain ?? false;
  }

  /** The acceptor's answer, unparsed. Rejects when the stream is refused, reset or lost first. */
  get reply(): Promise<unknown> {
    return this.#reply.promise;
  }

  /** Resolves once when the stream is over: undefined after END in both directions, else the reason. */
  get closed(): Promise<AtollError | undefined> {
    return this.#closed.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  sendReply(value: unknown): void {
    this.#isReplySettled = true;
    this.#sendMessage(FrameKind.reply, { ok: value });
  }

  /** Resolves when the event is in the window; rejects when the stream ends first. */
  async sendEvent(value: unknown): Promise<void> {
    const bytes = encodeJson(value);
    if (bytes.length > MESSAGE_MAX_BYTES)
      throw new AtollError("request.too_large", `event of ${bytes.length} bytes`);
    for (let at = 0; at < bytes.length; at += DATA_PAYLOAD_MAX_BYTES) {
      const payload = bytes.subarray(at, at + DATA_PAYLOAD_MAX_BYTES);
      const flags = at + payload.length < bytes.length ? FrameFlag.more : 0;
      await this.#take(payload.length);
      this.#send({ kind: FrameKind.event, flags, streamId: this.streamId, payload });
    }
  }

  /** Resolves when all bytes are in the peer's window, so awaiting it is backpressure. Copies nothing: do not reuse `bytes`. */
  async write(bytes: Uint8Array, options: { isSecondary?: boolean } = {}): Promise<void> {
    const flags = options.isSecondary ? FrameFlag.secondary : 0;
    for (let at = 0; at < bytes.length; ) {
      if (this.#writable === 0 || this.#weEnded || this.#isOver) await this.#take(0);
      const size = Math.min(bytes.length - at, DATA_PAYLOAD_MAX_BYTES, this.#writable);
      this.#sendData(bytes.subarray(at, at + size), flags);
      at += size;
    }
  }

  /** Writes what is known to fit: at most `writableBytes`, and one frame. `bytes` are copied. */
  writeNow(bytes: Uint8Array): void {
    if (bytes.length > this.writableBytes) throw new RangeError(`${bytes.length} bytes do not fit`);
    if (bytes.length > 0) this.#sendData(bytes, 0);
  }

  /** Bytes that `write` takes now without waiting. */
  get writableBytes(): number {
    return this.#isOver || this.#weEnded ? 0 : this.#writable;
  }

  /** This side writes no more. */
  end(): void {
    if (this.#weEnded || this.#isOver) return;
    this.#weEnded = true;
    this.#send({ kind: FrameKind.end, flags: 0, streamId: this.streamId, payload: new Uint8Array(0) });
    this.#finishIfBothEnded();
  }

  /** Ends this side, and whatever the peer still sends is dropped unread: for an opener that has its answer. */
  finish(): void {
    if (this.#isOver) return;
    this.end();
    if (!this.#isOver) this.#over(undefined);
  }

  /** Ends both directions now. The peer sees `error`; local waits reject with it. */
  reset(error: AtollError = new AtollError("stream.reset")): void {
    if (this.#isOver) return;
    this.#send({
      kind: FrameKind.reset,
      flags: 0,
      streamId: this.streamId,
      payload: encodeJson(error.toWire()),
    });
    this.#over(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamItem> {
    for (;;) {
      const queued = this.#incoming.shift();
      if (queued !== undefined) {
        this.#wasRead(queued);
        yield queued.item;
        continue;
      }
      if (this.#error) throw this.#error;
      if (this.#peerEnded) return;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  /**
   * Instead of iterating, for small items that must not wait: `take` is called in the very turn an item arrives, unless
   * a promise it returned is pending; that holds the following items back, and so the sender. Ends as iteration does.
   */
  async consume(take: (item: StreamItem) => Promise<void> | undefined): Promise<void> {
    for (;;) {
      const queued = this.#incoming.shift();
      if (queued !== undefined) {
        this.#wasRead(queued);
        await take(queued.item);
        continue;
      }
      if (this.#error) throw this.#error;
      if (this.#peerEnded) return;
      await new Promise<void>((resolve, reject) => {
        this.#wakeReader = resolve;
        this.#takeNow = (item) => {
          const pending = attempt(() => take(item));
          if (pending === undefined) return;
          this.#takeNow = undefined;
          this.#wakeReader = undefined;
          pending.then(resolve, reject);
        };
      });
      this.#takeNow = undefined;
    }
  }

  onFrame(frame: Frame): void {
    if (this.#isOver) return;
    switch (frame.kind) {
      case FrameKind.reply:
        return this.#onReply(frame);
      case FrameKind.data:
        return this.#onData(frame);
      case FrameKind.event:
        return this.#onEvent(frame);
      case FrameKind.credit: {
        if (frame.payload.length !== 4) throw new AtollError("link.protocol", "credit of wrong size");
        const bytes = new DataView(frame.payload.buffer, frame.payload.byteOffset, 4).getUint32(0);
        this.#writable = Math.min(this.#writable + bytes, STREAM_WINDOW_BYTES);
        this.#wakeAllWriters();
        return;
      }
      case FrameKind.end:
        this.#peerEnded = true;
        this.#rejectReply();
        this.#wakeReader?.();
        this.#finishIfBothEnded();
        return;
      case FrameKind.reset:
        this.#over(AtollError.fromWire(decodeJson(frame.payload)));
        return;
      default:
        throw new AtollError("link.protocol", `frame of kind ${frame.kind} inside a stream`);
    }
  }

  onLost(error: AtollError): void {
    if (!this.#isOver) this.#over(error);
  }

  #onReply(frame: Frame): void {
    if (this.#hasReply) throw new AtollError("link.protocol", "a second reply");
    const message = this.#assembler.push(frame);
    if (message === undefined) return;
    this.#hasReply = true;
    const value = decodeJson(message);
    this.#budget.give(this.#assembler.handOver());
    this.#isReplySettled = true;
    this.#reply.resolve(typeof value === "object" && value !== null && "ok" in value ? value.ok : undefined);
  }

  #onData({ payload, flags }: Frame): void {
    // It would be queued without having cost any credit.
    if (payload.length === 0) throw new AtollError("link.protocol", "empty data");
    this.#takeReadable(payload.length);
    if (this.#peerEnded) throw new AtollError("link.protocol", "data after end");
    const isSecondary = (flags & FrameFlag.secondary) !== 0;
    if (isSecondary && this.#isPlain) throw new AtollError("link.protocol", "no second output here");
    this.#push({
      item: { kind: "data", bytes: payload, isSecondary },
      creditBytes: payload.length,
      heldBytes: 0,
    });
  }

  #onEvent(frame: Frame): void {
    if (this.#isPlain) throw new AtollError("link.protocol", "no events here");
    const creditBytes = frame.payload.length;
    this.#takeReadable(creditBytes);
    const message = this.#assembler.push(frame);
    if (message === undefined) {
      // Held within the budget, so its credit can go back at once, as a message longer than the window needs it; but the
      // next message waits until the reader has read what is there.
      if (this.#incoming.isEmpty) this.#giveCredit(creditBytes);
      else this.#withheld += creditBytes;
      return;
    }
    const value = decodeJson(message);
    this.#push({ item: { kind: "event", value }, creditBytes, heldBytes: this.#assembler.handOver() });
  }

  #sendData(payload: Uint8Array, flags: number): void {
    this.#writable -= payload.length;
    this.#send({ kind: FrameKind.data, flags, streamId: this.streamId, payload });
  }

  #sendMessage(kind: typeof FrameKind.reply, value: unknown): void {
    const bytes = encodeJson(value);
    if (bytes.length > MESSAGE_MAX_BYTES) return this.reset(new AtollError("request.too_large"));
    for (let at = 0; at < bytes.length; at += FRAME_PAYLOAD_MAX_BYTES) {
      const payload = bytes.subarray(at, at + FRAME_PAYLOAD_MAX_BYTES);
      const flags = at + payload.length < bytes.length ? FrameFlag.more : 0;
      this.#send({ kind, flags, streamId: this.streamId, payload });
    }
  }

  /** Waits for window of at least `bytes` (or any, for 0), then takes `bytes`. */
  async #take(bytes: number): Promise<void> {
    while (!this.#isOver && !this.#weEnded && this.#writable < Math.max(bytes, 1)) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
    if (this.#isOver || this.#weEnded) throw this.#error ?? new AtollError("stream.reset", "write after end");
    this.#writable -= bytes;
  }

  #takeReadable(bytes: number): void {
    this.#readableLeft -= bytes;
    if (this.#readableLeft < 0)
      throw new AtollError("link.protocol", `stream ${this.streamId} overran its window`);
  }

  #giveCredit(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < CREDIT_STEP_BYTES || this.#peerEnded || this.#isOver) return;
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, this.#consumed);
    this.#readableLeft += this.#consumed;
    this.#consumed = 0;
    this.#send({ kind: FrameKind.credit, flags: 0, streamId: this.streamId, payload });
  }

  #push(queued: QueuedItem): void {
    if (this.#takeNow !== undefined) {
      this.#wasRead(queued);
      this.#takeNow(queued.item);
      return;
    }
    this.#incoming.push(queued);
    this.#wakeReader?.();
    this.#wakeReader = undefined;
  }

  #wasRead({ creditBytes, heldBytes }: QueuedItem): void {
    this.#budget.give(heldBytes);
    const withheld = this.#incoming.isEmpty ? this.#withheld : 0;
    this.#withheld -= withheld;
    this.#giveCredit(creditBytes + withheld);
  }

  #wakeAllWriters(): void {
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }

  #finishIfBothEnded(): void {
    if (this.#peerEnded && this.#weEnded) this.#over(undefined);
  }

  #rejectReply(error?: AtollError): void {
    if (this.#isReplySettled) return;
    this.#isReplySettled = true;
    this.#reply.reject(error ?? new AtollError("stream.reset", "stream ended without a reply"));
  }

  #over(error: AtollError | undefined): void {
    this.#isOver = true;
    this.#error = error;
    this.#peerEnded = true;
    this.#budget.give(this.#assembler.handOver() + this.#incoming.handOver());
    this.#forget();
    this.#rejectReply(error);
    this.#wakeReader?.();
    this.#wakeAllWriters();
    this.#closed.resolve(error);
  }
}

function attempt(run: () => Promise<void> | undefined): Promise<void> | undefined {
  try {
    return run();
  } catch (cause) {
    return Promise.reject(cause);
  }
}

/** Turns any failure of a handler into what the peer may see. */
export function resetWith(stream: MuxStream, cause: unknown): AtollError {
  const error = toAtollError(cause);
  stream.reset(error);
  return error;
}
