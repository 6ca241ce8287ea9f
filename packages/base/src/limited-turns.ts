interface Waiter {
  ownerId: string;
  begin: () => void;
}

/**
 * Lets so many through at once. Further ones wait in order, and owners take turns, so that one who asks for much does not
 * keep another waiting. How many wait is the caller's to bound.
 */
export class LimitedTurns {
  readonly #atOnce: number;
  #runningCount = 0;
  #waiting: Waiter[] = [];
  readonly #runningOf = new Map<string, number>();

  constructor(options: { atOnce: number }) {
    this.#atOnce = options.atOnce;
  }

  /** @param signal ends the wait; what runs is bounded by itself */
  async run<T>(ownerId: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(ownerId, signal);
    try {
      return await work();
    } finally {
      this.#count(ownerId, -1);
      this.#next();
    }
  }

  async #take(ownerId: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw signal.reason;
    if (this.#runningCount < this.#atOnce) return this.#count(ownerId, 1);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { ownerId, begin: resolve };
    const onAbort = () => {
      const at = this.#waiting.indexOf(waiter);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      reject(signal.reason);
    };
    this.#waiting.push(waiter);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The first of the owner who has the fewest under way. Counted before it runs: nobody else takes its place meanwhile. */
  #next(): void {
    let next: Waiter | undefined;
    for (const waiter of this.#waiting) {
      if (next === undefined || this.#countOf(waiter.ownerId) < this.#countOf(next.ownerId)) next = waiter;
    }
    if (next === undefined) return;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    this.#count(next.ownerId, 1);
    next.begin();
  }

  #countOf(ownerId: string): number {
    return this.#runningOf.get(ownerId) ?? 0;
  }

  #count(ownerId: string, change: 1 | -1): void {
    this.#runningCount += change;
    const count = this.#countOf(ownerId) + change;
    if (count === 0) this.#runningOf.delete(ownerId);
    else this.#runningOf.set(ownerId, count);
  }
}
