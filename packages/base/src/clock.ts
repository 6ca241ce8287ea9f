/** Time as a dependency, so that tests move it by hand. */
export interface Clock {
  /** Wall time, Unix milliseconds. For people and tickets, never for deadlines. */
  now(): number;
  /** Milliseconds since an arbitrary start; never jumps. For deadlines and intervals. */
  monotonic(): number;
  /** Runs once after `delayMs`; the returned function cancels. */
  schedule(delayMs: number, run: () => void): () => void;
}

/** The three globals this package needs; no DOM or Node types are in scope here on purpose. */
declare const setTimeout: (run: () => void, delayMs: number) => unknown;
declare const clearTimeout: (handle: unknown) => void;
declare const performance: { now(): number };

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, run) {
    const handle = setTimeout(run, delayMs);
    return () => clearTimeout(handle);
  },
};
