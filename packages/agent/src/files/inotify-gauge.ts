/**
 * libuv drops the kernel's note that its inotify queue ran over. But the queue only runs over when it is full, and
 * what filled it is delivered first, in one go: a burst of half the queue's length in one turn of the event loop is
 * therefore announced as a loss to every watch.
 */
export class InotifyGauge {
  readonly #limit: number;
  readonly #listeners = new Set<() => void>();
  #countInTurn = 0;

  /** @param queueLength `fs.inotify.max_queued_events`. */
  constructor(queueLength: number) {
    this.#limit = Math.max(1, Math.floor(queueLength / 2));
  }

  onLoss(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One event was delivered to one watch. */
  count(): void {
    if (this.#countInTurn === 0) {
      setImmediate(() => {
        this.#countInTurn = 0;
      });
    }
    this.#countInTurn++;
    if (this.#countInTurn === this.#limit) for (const listener of this.#listeners) listener();
  }
}
