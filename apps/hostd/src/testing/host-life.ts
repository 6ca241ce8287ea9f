import type { Clock } from "@atoll/base/clock";

/**
 * One life of hostd among fakes. Killed at a point, nothing it began afterwards has any effect and nothing it waits for
 * ever comes: as by `kill -9`, but between any two steps a test chooses.
 */
export class HostLife {
  /** Every point passed so far, in order: `before source.seal`, `after journal paused`, … */
  readonly points: string[] = [];
  /** Asked at each point; true kills there. */
  killAt: (point: string, index: number) => boolean = () => false;
  readonly #killed = Promise.withResolvers<void>();
  #isKilled = false;

  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** Resolves when it is dead. */
  get killed(): Promise<void> {
    return this.#killed.promise;
  }

  kill(): void {
    this.#isKilled = true;
    this.#killed.resolve();
  }

  /** A point before the effect, where a kill undoes it, and one after it, where a kill hides its result. */
  async step<T>(name: string, effect: () => Promise<T> | T): Promise<T> {
    if (this.#isOver(`before ${name}`)) return new Promise<T>(() => {});
    try {
      return await effect();
    } finally {
      // A dead process sees neither results nor errors.
      if (this.#isOver(`after ${name}`)) await new Promise<never>(() => {});
    }
  }

  /** Time that stops with this life. */
  clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      schedule: (delayMs, run) =>
        clock.schedule(delayMs, () => {
          if (!this.#isKilled) run();
        }),
    };
  }

  #isOver(point: string): boolean {
    if (this.#isKilled) return true;
    this.points.push(point);
    if (this.killAt(point, this.points.length - 1)) this.kill();
    return this.#isKilled;
  }
}
