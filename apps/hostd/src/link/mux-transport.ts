import type { Duplex } from "node:stream";
import { AtollError } from "@atoll/protocol/atoll-error";
import { Mux, type MuxOptions } from "@atoll/protocol/mux";

export interface MuxTransportOptions extends Omit<MuxOptions, "send" | "onFatal"> {
  duplex: Duplex;
  /** Called once, however the connection ended; the duplex is destroyed by then. */
  onClosed: (error: AtollError) => void;
  /** What streams hear when the connection is lost just now; link.lost by default. */
  lossError?: () => AtollError | undefined;
  /** May the peer send more right now? False stops reading until `resumeReading`. */
  mayRead?: () => boolean;
}

/**
 * Owns a byte stream and the mux on it. Writing stops at the stream's high-water mark and goes on at `drain`;
 * what waits is bounded by the credit windows. Reading stops while our own output is blocked or `mayRead` says no.
 */
export class MuxTransport {
  readonly mux: Mux;
  readonly #duplex: Duplex;
  readonly #options: MuxTransportOptions;
  #isBlocked = false;
  #isCorked = false;
  #isClosed = false;

  constructor(options: MuxTransportOptions) {
    this.#options = options;
    this.#duplex = options.duplex;
    this.mux = new Mux({
      ...options,
      send: (bytes) => this.#send(bytes),
      onFatal: (error) => this.#closed(error),
    });
  }

  /** Starts reading; `early` are bytes that were read behind a handshake. */
  start(early?: Uint8Array): void {
    const duplex = this.#duplex;
    duplex.on("drain", () => {
      this.#isBlocked = false;
      this.mux.drained();
      this.resumeReading();
      for (const listener of this.#drainListeners.splice(0)) listener();
    });
    duplex.on("error", (cause) => this.#closed(new AtollError("link.lost", "stream failed", { cause })));
    duplex.on("close", () => this.#closed(new AtollError("link.lost", "stream closed")));
    duplex.on("end", () => this.#closed(new AtollError("link.lost", "stream ended")));
    if (early !== undefined && early.length > 0) this.mux.receive(early);
    duplex.on("data", (chunk: Buffer) => {
      this.mux.receive(chunk);
      if (!this.#isClosed && (this.#isBlocked || this.#options.mayRead?.() === false)) duplex.pause();
    });
    duplex.resume();
  }

  readonly #drainListeners: Array<() => void> = [];

  /** The peer takes nothing at the moment. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Runs once at the next drain. */
  onceDrained(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  resumeReading(): void {
    if (!this.#isClosed && !this.#isBlocked && this.#options.mayRead?.() !== false) this.#duplex.resume();
  }

  /** Tells the peer why, lets that last frame out and ends. `onClosed` is called with the same error. */
  close(error: AtollError): void {
    if (this.#isClosed) return;
    this.mux.close(error);
    this.#finish(error);
  }

  #send(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#duplex.destroyed) return true;
    if (!this.#isCorked) {
      // Frames of one turn leave in one system call.
      this.#isCorked = true;
      this.#duplex.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#duplex.uncork();
      });
    }
    if (this.#duplex.write(bytes)) return true;
    this.#isBlocked = true;
    return false;
  }

  #closed(cause: AtollError): void {
    if (this.#isClosed) return;
    const error = this.#options.lossError?.() ?? cause;
    this.mux.lost(error);
    this.#finish(error);
  }

  #finish(error: AtollError): void {
    this.#isClosed = true;
    const duplex = this.#duplex;
    duplex.on("error", () => {});
    // A peer that reads gets the last frame; one that does not is cut a moment later.
    if (duplex.destroyed) duplex.destroy();
    else {
      duplex.end(() => duplex.destroy());
      duplex.resume();
      const cut = setTimeout(() => duplex.destroy(), LAST_WORDS_MS);
      duplex.once("close", () => clearTimeout(cut));
    }
    for (const listener of this.#drainListeners.splice(0)) listener();
    this.#options.onClosed(error);
  }
}

/** Revoked sessions must be gone within a second, also when they read nothing. */
const LAST_WORDS_MS = 500;
