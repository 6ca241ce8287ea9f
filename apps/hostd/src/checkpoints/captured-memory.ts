import { AtollError } from "@atoll/protocol/atoll-error";

/** What copies of guests' memory may take of this process together. */
export class MemoryLedger {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** @throws AtollError host.full */
  require(bytes: number): void {
    if (this.#usedBytes + bytes <= this.#maxBytes) return;
    throw new AtollError("host.full", `${this.#usedBytes} of ${this.#maxBytes} bytes hold copied memory`, {
      details: { resource: "memory", limit: this.#maxBytes, used: this.#usedBytes },
    });
  }

  take(bytes: number): void {
    this.require(bytes);
    this.#usedBytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** A stopped machine's state as it was when it was copied, for any number of readers. */
export class CapturedMemory implements AsyncDisposable {
  readonly #ledger: MemoryLedger;
  #chunks: Uint8Array[] = [];
  #sizeBytes = 0;

  private constructor(ledger: MemoryLedger) {
    this.#ledger = ledger;
  }

  /** Keeps the chunks themselves: whoever gives them does not use them again. @throws AtollError host.full */
  static async copy(state: AsyncIterable<Uint8Array>, ledger: MemoryLedger): Promise<CapturedMemory> {
    const memory = new CapturedMemory(ledger);
    try {
      for await (const chunk of state) {
        ledger.take(chunk.length);
        memory.#chunks.push(chunk);
        memory.#sizeBytes += chunk.length;
      }
      return memory;
    } catch (error) {
      await memory[Symbol.asyncDispose]();
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    yield* this.#chunks;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const chunk of this.#chunks) chunk.fill(0);
    this.#chunks = [];
    this.#ledger.giveBack(this.#sizeBytes);
    this.#sizeBytes = 0;
  }
}
