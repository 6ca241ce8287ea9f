import type { MuxStream } from "@atoll/protocol/mux-stream";

/** Sends events of which only the newest per kind matters, so that a slow reader holds no queue. */
export class LatestSender {
  readonly #stream: MuxStream;
  readonly #waiting = new Map<string, unknown>();
  #isSending = false;

  constructor(stream: MuxStream) {
    this.#stream = stream;
  }

  send(kind: string, event: unknown): void {
    this.#waiting.delete(kind);
    this.#waiting.set(kind, event);
    if (!this.#isSending) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#isSending = true;
    try {
      for (const [kind, event] of this.#waiting) {
        this.#waiting.delete(kind);
        await this.#stream.sendEvent(event);
      }
    } catch {
      // The stream is over; its owner learns it from the stream.
    } finally {
      this.#isSending = false;
    }
  }
}
