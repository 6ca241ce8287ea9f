import { OUTPUT_HIGH_MARK_BYTES, OUTPUT_MESSAGE_MAX_BYTES } from "./session-limits.ts";

export interface OutboxOptions {
  /** Hands one message over; called only while `isReady`. */
  send: (message: Uint8Array) => void;
  /** The transport has no message of ours waiting. */
  isReady: () => boolean;
  /** The source should not be read, or read again. */
  onFull: (isFull: boolean) => void;
}

/**
 * Bytes on their way to one browser. A lone chunk leaves at once; what comes while a message is on its way
 * leaves together as the next one, so nothing waits for a timer and a flood costs few messages.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isFull = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.flush();
  }

  /** Call when the transport may have become ready. */
  flush(): void {
    while (this.#chunks.length > 0 && this.#options.isReady()) this.#options.send(this.#takeMessage());
    const isFull = this.#bytes >= OUTPUT_HIGH_MARK_BYTES;
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#options.onFull(isFull);
  }

  /** The source ended: everything left in one go, whatever the transport holds. Bounded by the high mark. */
  drain(): void {
    while (this.#chunks.length > 0) this.#options.send(this.#takeMessage());
  }

  #takeMessage(): Uint8Array {
    let count = 0;
    let bytes = 0;
    for (const chunk of this.#chunks) {
      if (count > 0 && bytes + chunk.length > OUTPUT_MESSAGE_MAX_BYTES) break;
      bytes += chunk.length;
      count += 1;
    }
    const taken = this.#chunks.splice(0, count);
    this.#bytes -= bytes;
    return taken.length === 1 ? (taken[0] as Uint8Array) : Buffer.concat(taken, bytes);
  }
}
