/**
 * Many streams over one byte transport. A `Mux` lives exactly as long as one connection of its transport:
 * when that is lost every stream ends with `link.lost`, and a new connection gets a new `Mux`.
 * The same class serves browser ↔ hostd (through the gateway, which only passes bytes) and hostd ↔ agent.
 * Length: opening, relaying and ending streams share one table of them.
 */
import { AtollError } from "./atoll-error.ts";
import { ByteBudget } from "./byte-budget.ts";
import { type Frame, FrameKind, FrameReader } from "./frame.ts";
import { FrameScheduler, type SendBytes } from "./frame-scheduler.ts";
import { decodeJson, encodeJson, encodeOpen } from "./json-payload.ts";
import { EARLY_MAX_FRAMES, MESSAGES_HELD_MAX_BYTES, STREAM_WINDOW_BYTES } from "./limits.ts";
import { openEnvelope } from "./message.ts";
import { MuxStream } from "./mux-stream.ts";

/** What a mux does with the frames of one stream: a `MuxStream` reads them, a relay passes them on. */
export interface StreamEnd {
  onFrame(frame: Frame): void;
  /** The connection is gone; called once, nothing follows. */
  onLost(error: AtollError): void;
}

export interface RelayHandle {
  readonly streamId: number;
  /**
   * Passes a frame of the other hop on; the stream id is replaced.
   * @throws AtollError link.protocol when whoever sends these has too many small ones waiting here
   */
  forward(frame: Frame): void;
  /** Forgets the stream without a frame; use after END in both directions or RESET was forwarded. */
  forget(): void;
}

export interface StreamOptions {
  /** The peer may send primary bytes only: no events, no second output. What waits unread is then bounded by the window. */
  isPlain?: boolean | undefined;
}

/** A stream the peer wants to open. Exactly one of the three must be called, synchronously or later. */
export interface IncomingOpen {
  readonly streamId: number;
  readonly name: string;
  /** Unparsed. */
  readonly params: unknown;
  accept(options?: StreamOptions): MuxStream;
  relay(end: StreamEnd): RelayHandle;
  refuse(error: AtollError): void;
}

export interface MuxOptions {
  /** Streams this side opens are odd for the client (browser, gateway, hostd towards the guest), even for the server. */
  side: "client" | "server";
  send: SendBytes;
  /** `send` keeps nothing of the bytes when it has returned. Spares a garbage buffer for each frame. */
  isSendCopying?: boolean;
  maxStreams: number;
  onOpen: (open: IncomingOpen) => void;
  /** HELLO and EVENT of stream 0, parsed as JSON. */
  onConnectionMessage?: (message: unknown) => void;
  /** The connection broke the protocol or the peer reset it; the owner closes the transport. */
  onFatal: (error: AtollError) => void;
}

export class Mux {
  readonly #options: MuxOptions;
  readonly #reader = new FrameReader();
  readonly #scheduler: FrameScheduler;
  readonly #budget = new ByteBudget(MESSAGES_HELD_MAX_BYTES);
  readonly #ends = new Map<number, StreamEnd>();
  readonly #pings = new Map<number, (ok: boolean) => void>();
  #nextStreamId: number;
  #nextPing = 1;
  #closedBy: AtollError | undefined;

  constructor(options: MuxOptions) {
    this.#options = options;
    this.#scheduler = new FrameScheduler(options.send, options.isSendCopying);
    this.#nextStreamId = options.side === "client" ? 1 : 2;
  }

  get streamCount(): number {
    return this.#ends.size;
  }

  get isClosed(): boolean {
    return this.#closedBy !== undefined;
  }

  /** Feed bytes as they arrive, at any boundary. The chunk may not be reused by the caller. */
  receive(chunk: Uint8Array): void {
    if (this.#closedBy) return;
    try {
      for (const frame of this.#reader.push(chunk)) this.#dispatch(frame);
    } catch (cause) {
      this.#fatal(
        cause instanceof AtollError ? cause : new AtollError("internal", "frame handler failed", { cause }),
      );
    }
  }

  /** The transport takes bytes again. */
  drained(): void {
    if (!this.#closedBy) this.#scheduler.drained();
  }

  open(name: string, params: unknown, options: StreamOptions = {}): MuxStream {
    const payload = encodeOpen(name, params);
    const streamId = this.#allocate();
    const stream = this.#newStream(streamId, options);
    this.#ends.set(streamId, stream);
    this.#enqueue({ kind: FrameKind.open, flags: 0, streamId, payload });
    return stream;
  }

  /** Opens a stream whose frames come from and go to another hop, starting with the OPEN in `first`. */
  openRelay(first: Frame, end: StreamEnd): RelayHandle {
    const streamId = this.#allocate();
    this.#ends.set(streamId, end);
    const handle = this.#relayHandle(streamId);
    handle.forward(first);
    return handle;
  }

  /** HELLO on stream 0. */
  sendHello(message: unknown): void {
    this.#enqueue({ kind: FrameKind.hello, flags: 0, streamId: 0, payload: encodeJson(message) });
  }

  /** EVENT on stream 0. Not flow controlled: for rare notices only. */
  sendConnectionEvent(message: unknown): void {
    this.#enqueue({ kind: FrameKind.event, flags: 0, streamId: 0, payload: encodeJson(message) });
  }

  /** Resolves true when the peer echoed, false when the connection was lost first. */
  ping(): Promise<boolean> {
    if (this.#closedBy) return Promise.resolve(false);
    const id = this.#nextPing++;
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, id);
    return new Promise((resolve) => {
      this.#pings.set(id, resolve);
      this.#enqueue({ kind: FrameKind.ping, flags: 0, streamId: 0, payload });
    });
  }

  /** Tells the peer why, then ends every stream here. The owner closes the transport after it. */
  close(error: AtollError): void {
    if (this.#closedBy) return;
    try {
      this.#scheduler.enqueue({
        kind: FrameKind.reset,
        flags: 0,
        streamId: 0,
        payload: encodeJson(error.toWire()),
      });
    } catch {
      // The peer reads nothing any more; it learns from the closed transport.
    }
    this.lost(error);
  }

  /** The transport is gone: every stream ends with this error. */
  lost(error: AtollError): void {
    if (this.#closedBy) return;
    this.#closedBy = error;
    const ends = [...this.#ends.values()];
    this.#ends.clear();
    for (const end of ends) end.onLost(error);
    for (const resolve of this.#pings.values()) resolve(false);
    this.#pings.clear();
  }

  #enqueue(frame: Frame): void {
    if (this.#closedBy) return;
    try {
      this.#scheduler.enqueue(frame);
    } catch (cause) {
      this.#fatal(
        cause instanceof AtollError ? cause : new AtollError("internal", "transport failed", { cause }),
      );
    }
  }

  #fatal(error: AtollError): void {
    if (this.#closedBy) return;
    this.close(error);
    this.#options.onFatal(error);
  }

  #newStream(streamId: number, { isPlain }: StreamOptions): MuxStream {
    return new MuxStream({
      streamId,
      send: (frame) => this.#enqueue(frame),
      forget: () => this.#ends.delete(streamId),
      budget: this.#budget,
      isPlain,
    });
  }

  #allocate(): number {
    if (this.#closedBy) throw this.#closedBy;
    if (this.#ends.size >= this.#options.maxStreams) {
      throw new AtollError("link.stream_limit", undefined, { details: { limit: this.#options.maxStreams } });
    }
    do {
      this.#nextStreamId =
        this.#nextStreamId + 2 > 0x7fffffff ? (this.#nextStreamId % 2 === 1 ? 1 : 2) : this.#nextStreamId + 2;
    } while (this.#ends.has(this.#nextStreamId));
    return this.#nextStreamId;
  }

  #relayHandle(streamId: number): RelayHandle {
    return {
      streamId,
      forward: (frame) => {
        const isCrumb = frame.kind !== FrameKind.reset && frame.kind !== FrameKind.credit;
        if (isCrumb && this.#scheduler.isCrowded(streamId))
          throw new AtollError("link.protocol", "relayed stream of crumbs");
        this.#enqueue({ ...frame, streamId });
      },
      forget: () => {
        this.#ends.delete(streamId);
      },
    };
  }

  #dispatch(frame: Frame): void {
    if (frame.streamId === 0) return this.#onConnectionFrame(frame);
    if (frame.kind === FrameKind.open) return this.#onOpen(frame);
    // Frames of a stream just forgotten are late, not wrong.
    this.#ends.get(frame.streamId)?.onFrame(frame);
  }

  #onConnectionFrame(frame: Frame): void {
    if (frame.kind === FrameKind.ping) {
      if (frame.payload.length !== 4) throw new AtollError("link.protocol", "ping without its number");
      this.#enqueue({ ...frame, kind: FrameKind.pong });
    } else if (frame.kind === FrameKind.pong) {
      if (frame.payload.length !== 4) throw new AtollError("link.protocol", "pong without its number");
      const id = new DataView(frame.payload.buffer, frame.payload.byteOffset, 4).getUint32(0);
      this.#pings.get(id)?.(true);
      this.#pings.delete(id);
    } else if (frame.kind === FrameKind.hello || frame.kind === FrameKind.event) {
      this.#options.onConnectionMessage?.(decodeJson(frame.payload));
    } else if (frame.kind === FrameKind.reset) {
      const error = AtollError.fromWire(decodeJson(frame.payload));
      this.lost(error);
      this.#options.onFatal(error);
    } else {
      throw new AtollError("link.protocol", `frame of kind ${frame.kind} on stream 0`);
    }
  }

  #onOpen(frame: Frame): void {
    const { streamId } = frame;
    const isPeerId = (streamId % 2 === 1) === (this.#options.side === "server");
    if (!isPeerId || this.#ends.has(streamId))
      throw new AtollError("link.protocol", `open of stream ${streamId}`);
    const refuse = (error: AtollError) =>
      this.#enqueue({ kind: FrameKind.reset, flags: 0, streamId, payload: encodeJson(error.toWire()) });
    if (this.#ends.size >= this.#options.maxStreams) {
      return refuse(
        new AtollError("link.stream_limit", undefined, { details: { limit: this.#options.maxStreams } }),
      );
    }
    const envelope = openEnvelope.safeParse(decodeJson(frame.payload));
    if (!envelope.success) return refuse(new AtollError("request.invalid", "open without a name"));
    // Frames that arrive before the decision wait here, bounded by the window the peer may use unasked.
    const early: Frame[] = [];
    let earlyBytes = 0;
    let lostBy: AtollError | undefined;
    this.#ends.set(streamId, {
      onFrame: (next) => {
        earlyBytes += next.payload.length;
        if (earlyBytes > 2 * STREAM_WINDOW_BYTES || early.length >= EARLY_MAX_FRAMES)
          throw new AtollError("link.protocol", "stream overran its window");
        // A copy: the frame may be a small view of a large read.
        early.push({ ...next, payload: new Uint8Array(next.payload) });
      },
      onLost: (error) => {
        lostBy = error;
      },
    });
    const settle = (end: StreamEnd) => {
      if (lostBy) return end.onLost(lostBy);
      this.#ends.set(streamId, end);
      for (const next of early.splice(0)) end.onFrame(next);
    };
    this.#options.onOpen({
      streamId,
      name: envelope.data.name,
      params: envelope.data.params,
      accept: (options = {}) => {
        const stream = this.#newStream(streamId, options);
        settle(stream);
        return stream;
      },
      relay: (end) => {
        settle(end);
        return this.#relayHandle(streamId);
      },
      refuse: (error) => {
        this.#ends.delete(streamId);
        refuse(error);
      },
    });
  }
}
