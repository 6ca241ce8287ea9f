import { Duplex } from "node:stream";
import { toAtollError } from "@atoll/protocol/atoll-error";
import type { MuxStream } from "@atoll/protocol/mux-stream";

/**
 * A TCP connection inside the guest as what `node:http` takes for a socket. Backpressure is the stream's credit
 * in both directions; destroying it resets the stream.
 */
export class PortSocket extends Duplex {
  readonly #stream: MuxStream;
  readonly #items: AsyncIterator<{ kind: string; bytes?: Uint8Array }>;
  #isReading = false;
  #idleTimeoutMs = 0;
  #idleTimer: NodeJS.Timeout | undefined;

  /** @param stream an open `ports.connect` channel, owned from here on */
  constructor(stream: MuxStream) {
    // Like a TCP socket: when the guest ends, so do we.
    super({ allowHalfOpen: false });
    this.#stream = stream;
    this.#items = stream[Symbol.asyncIterator]();
    // A stream lost while nobody reads or writes, as when it waits to be used again.
    void stream.closed.then((error) => {
      if (error !== undefined) this.destroy(error);
    });
  }

  override _read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    void this.#pump();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#restartIdleTimer();
    this.#stream.write(chunk).then(() => done(), done);
  }

  override _writev(chunks: Array<{ chunk: Buffer }>, done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#idleTimer);
    if (!this.#stream.isOver) this.#stream.reset();
    done(error);
  }

  /** As `net.Socket`: "timeout" after that long without a byte; 0 for never, which takes `onTimeout` away again. */
  setTimeout(timeoutMs: number, onTimeout?: () => void): this {
    this.#idleTimeoutMs = timeoutMs;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    if (onTimeout && timeoutMs > 0) this.once("timeout", onTimeout);
    else if (onTimeout) this.removeListener("timeout", onTimeout);
    this.#restartIdleTimer();
    return this;
  }

  // http.Agent calls these on every socket it keeps; a stream has no such options.
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  async #pump(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#items.next();
        if (next.done) {
          this.push(null);
          return;
        }
        this.#restartIdleTimer();
        if (next.value.bytes !== undefined && !this.push(next.value.bytes)) break;
      }
      this.#isReading = false;
    } catch (cause) {
      this.destroy(toAtollError(cause));
    }
  }

  #restartIdleTimer(): void {
    if (this.#idleTimeoutMs === 0 || this.destroyed) return;
    if (this.#idleTimer !== undefined) this.#idleTimer.refresh();
    else this.#idleTimer = setTimeout(() => this.emit("timeout"), this.#idleTimeoutMs).unref();
  }
}
