import { AtollError } from "./atoll-error.ts";

/** Bytes that several holders of one connection may hold together. */
export class ByteBudget {
  readonly #maxBytes: number;
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @throws AtollError link.protocol when the peer makes us hold more; nothing is taken then */
  take(bytes: number): void {
    if (this.#heldBytes + bytes > this.#maxBytes) {
      throw new AtollError("link.protocol", "peer sends more messages than are read");
    }
    this.#heldBytes += bytes;
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}
