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

  /** New output lies in the ring. */
  onOutput(): void {
    if (!this.#isSending) this.#sendWhatFits();
    if (this.#offset < this.#ring.end) void this.#send();
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
        this.#sendWhatFits();
        this.#onProgress();
        if (this.#offset === this.#ring.end) break;
        // One byte waits for room, so that the wait ends with the stream too.
        const next = this.#ring.read(this.#offset, 1);
        this.#offset += next.length;
        await this.stream.write(next);
      }
      this.#finish?.();
    } catch {
      // The stream is over; its owner learns it from the stream.
    } finally {
      this.#isSending = false;
    }
  }

  /** What waits in the ring costs nothing, what waits in a stream is a copy. A gap is left for `#send` to tell. */
  #sendWhatFits(): void {
    while (this.#offset < this.#ring.end && this.#offset >= this.#ring.start) {
      const room = Math.min(this.stream.writableBytes, DATA_PAYLOAD_MAX_BYTES);
      if (room === 0) return;
      const bytes = this.#ring.view(this.#offset, room);
      this.#offset += bytes.length;
      this.stream.writeNow(bytes);
    }
  }
}
