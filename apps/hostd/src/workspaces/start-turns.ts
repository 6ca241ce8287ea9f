interface Waiter {
  ownerId: string;
  begin: () => void;
}

/**
 * How many restored guests wake up at once. Each keeps a core busy until its agent has answered: more at once than there
 * are cores make all of them late, and the terminals of everybody who works already slow. Owners take turns, so that one
 * who starts a class does not keep another waiting. Bounded by the workspaces that admission lets start.
 */
export class StartTurns {
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
    signal.throwIfAborted();
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
