import { DATA_PAYLOAD_MAX_BYTES } from "@atoll/protocol/limits";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import type { ReplayRing } from "./replay-ring.ts";

export interface TerminalViewerOptions {
  stream: MuxStream;
  ring: ReplayRing;
  fromOffset: number;
  /** The viewer moved on, so the terminal may be read again. */
  onProgress: () => void;
}

/** One attached caller with a cursor of its own in the terminal's output. */
export class TerminalViewer {
  readonly stream: MuxStream;
  readonly #ring: ReplayRing;
  readonly #onProgress: () => void;
  #offset: number;
  #isSending = false;
  #finish: (() => void) | undefined;

  constructor(options: TerminalViewerOptions) {
    this.stream = options.stream;
    this.#ring = options.ring;
    this.#offset = options.fromOffset;
    this.#onProgress = options.onProgress;
  }

  get offset(): number {
    return this.#offset;
  }

  /** New output lies in the ring. A little of it, as an echo, goes out without a promise. */
  onOutput(): void {
    const length = this.#ring.end - this.#offset;
    const room = Math.min(this.stream.writableBytes, DATA_PAYLOAD_MAX_BYTES);
    if (this.#isSending || this.#offset < this.#ring.start || length > room) {
      void this.#send();
      return;
    }
    const bytes = this.#ring.read(this.#offset, length);
    this.#offset += length;
    this.stream.writeNow(bytes);
  }

  /** Sends what is there; resolves when the viewer has all of it or is gone. */
  async catchUp(): Promise<void> {
    if (this.stream.isOver) return;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    void this.#send();
    await Promise.race([finished, this.stream.closed]);
  }

  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (this.#offset < this.#ring.end) {
        if (this.#offset < this.#ring.start) {
          const gapBytes = this.#ring.start - this.#offset;
          this.#offset = this.#ring.start;
          await this.stream.sendEvent({ type: "gap", gapBytes });
          continue;
        }
        // Never more than fits: what waits in the ring costs nothing, what waits in a stream is a copy.
        const size = Math.min(this.stream.writableBytes, DATA_PAYLOAD_MAX_BYTES);
        const bytes = this.#ring.read(this.#offset, Math.max(size, 1));
        this.#offset += bytes.length;
        const written = this.stream.write(bytes);
        if (size > 0) this.#onProgress();
        await written;
        if (size === 0) this.#onProgress();
      }
      this.#finish?.();
    } catch {
      // The stream is over; its owner learns it from the stream.
    } finally {
      this.#isSending = false;
    }
  }
}
