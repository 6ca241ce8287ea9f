import { Duplex } from "node:stream";
import type { MuxStream } from "@atoll/protocol/mux-stream";

/** A stream of the link in the shape Node's HTTP client expects of a connection. */
export class StreamSocket extends Duplex {
  readonly #stream: MuxStream;
  #isReading = false;
  #wake: (() => void) | undefined;

  constructor(stream: MuxStream) {
    // A client that got all of its answer has nothing more to say: the end of one direction ends both.
    super({ allowHalfOpen: false });
    this.#stream = stream;
    void stream.closed.then((error) => {
      if (error !== undefined) this.destroy(error);
    });
    void this.#pump();
  }

  override _read(): void {
    this.#isReading = true;
    this.#wake?.();
    this.#wake = undefined;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#wake?.();
    if (!this.#stream.isOver) this.#stream.reset();
    done(error);
  }

  async #pump(): Promise<void> {
    try {
      for await (const item of this.#stream) {
        if (item.kind !== "data") continue;
        while (!this.#isReading && !this.destroyed) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        if (this.destroyed) return;
        this.#isReading = this.push(item.bytes);
      }
      this.push(null);
    } catch {
      // The stream's `closed` destroys this with the reason.
    }
  }

  // What the HTTP client asks of a TCP connection and a stream of the link has no part in.
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
