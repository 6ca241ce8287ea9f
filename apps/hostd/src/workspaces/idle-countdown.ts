import type { Clock } from "@atoll/base/clock";

export interface IdleCountdownOptions {
  clock: Clock;
  onIdle: () => void;
  /** `pausesAtMs` changed. */
  onChange: () => void;
}

/** Counts down while nothing holds a running workspace awake. */
export class IdleCountdown {
  readonly #options: IdleCountdownOptions;
  readonly #holders = new Set<object>();
  #idleMs: number;
  #isArmed = false;
  #running: { cancel: () => void; pausesAtMs: number } | undefined;

  constructor(idleSeconds: number, options: IdleCountdownOptions) {
    this.#idleMs = idleSeconds * 1000;
    this.#options = options;
  }

  get pausesAtMs(): number | undefined {
    return this.#running?.pausesAtMs;
  }

  get isHeld(): boolean {
    return this.#holders.size > 0;
  }

  /** Call when the workspace is running; starts to count unless something holds it. */
  arm(): void {
    this.#isArmed = true;
    this.#update();
  }

  disarm(): void {
    this.#isArmed = false;
    this.#update();
  }

  /** Keeps the workspace awake until the returned function is called; calling that twice is harmless. */
  hold(): () => void {
    const holder = {};
    this.#holders.add(holder);
    this.#update();
    return () => {
      if (this.#holders.delete(holder)) this.#update();
    };
  }

  setIdleSeconds(idleSeconds: number): void {
    if (idleSeconds * 1000 === this.#idleMs) return;
    this.#idleMs = idleSeconds * 1000;
    this.#cancel();
    this.#update();
  }

  #update(): void {
    const shouldRun = this.#isArmed && this.#holders.size === 0;
    if (shouldRun === (this.#running !== undefined)) return;
    if (!shouldRun) {
      this.#cancel();
    } else {
      const { clock } = this.#options;
      const cancel = clock.schedule(this.#idleMs, () => {
        this.#running = undefined;
        this.#options.onIdle();
      });
      this.#running = { cancel, pausesAtMs: clock.now() + this.#idleMs };
    }
    this.#options.onChange();
  }

  #cancel(): void {
    this.#running?.cancel();
    this.#running = undefined;
  }
}
