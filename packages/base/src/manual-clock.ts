import type { Clock } from "./clock.ts";

/** A clock that only moves when told to. Due callbacks run in order of their due time, then of scheduling. */
export class ManualClock implements Clock {
  #elapsedMs = 0;
  #sequence = 0;
  readonly #startMs: number;
  readonly #timers = new Map<number, { dueMs: number; run: () => void }>();

  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const id = this.#sequence++;
    this.#timers.set(id, { dueMs: this.#elapsedMs + Math.max(0, delayMs), run });
    return () => this.#timers.delete(id);
  }

  /** Runs everything due within `byMs`, including what those callbacks schedule inside that span. */
  advance(byMs: number): void {
    const endMs = this.#elapsedMs + byMs;
    for (;;) {
      let next: [number, { dueMs: number; run: () => void }] | undefined;
      for (const entry of this.#timers) {
        if (entry[1].dueMs <= endMs && (next === undefined || entry[1].dueMs < next[1].dueMs)) next = entry;
      }
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.#elapsedMs = Math.max(this.#elapsedMs, next[1].dueMs);
      next[1].run();
    }
    this.#elapsedMs = endMs;
  }

  get pendingCount(): number {
    return this.#timers.size;
  }
}
