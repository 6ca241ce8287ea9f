import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "@atoll/base/clock";

/** Time that only moves when the world has nothing else to do. Callbacks run in the life that asked for them. */
export class SimClock {
  #nowMs = 1_700_000_000_000;
  #order = 0;
  readonly #timers = new Map<number, { dueMs: number; run: () => void }>();

  get nowMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const id = this.#order++;
    this.#timers.set(id, { dueMs: this.#nowMs + Math.max(0, delayMs), run });
    return () => this.#timers.delete(id);
  }

  /** The next timer's due time, if there is one. */
  get nextDueMs(): number | undefined {
    let next: number | undefined;
    for (const { dueMs } of this.#timers.values()) if (next === undefined || dueMs < next) next = dueMs;
    return next;
  }

  /** Moves to `toMs` at most and runs one timer that is due by then. False when none was: then it is `toMs`. */
  runNext(toMs: number): boolean {
    let found: [number, { dueMs: number; run: () => void }] | undefined;
    for (const entry of this.#timers) {
      if (entry[1].dueMs <= toMs && (found === undefined || entry[1].dueMs < found[1].dueMs)) found = entry;
    }
    if (found === undefined) {
      this.#nowMs = Math.max(this.#nowMs, toMs);
      return false;
    }
    this.#timers.delete(found[0]);
    this.#nowMs = Math.max(this.#nowMs, found[1].dueMs);
    found[1].run();
    return true;
  }

  /** As one life of hostd sees it. Wall and monotonic time run alike. */
  for(inLife: (run: () => void) => () => void): Clock {
    return {
      now: () => this.#nowMs,
      monotonic: () => this.#nowMs - 1_699_000_000_000,
      // As the platform's timers, which carry on the context they were set in: it says that a lease is to be looked at.
      schedule: (delayMs, run) => {
        const inContext = AsyncLocalStorage.snapshot();
        return this.schedule(
          delayMs,
          inLife(() => inContext(run)),
        );
      },
    };
  }
}
