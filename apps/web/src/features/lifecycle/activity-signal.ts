import type { Clock } from "@atoll/base/clock";

/** Not more often: the host counts in minutes. */
const EVERY_MAX_MS = 30_000;
const EVENTS = ["keydown", "pointerdown", "wheel", "touchmove"] as const;

export interface ActivitySignalOptions {
  target: Pick<EventTarget, "addEventListener" | "removeEventListener">;
  clock: Clock;
  /** What the host takes for idle: a short one is told of more often. */
  idlePauseSeconds: number;
  onActive: () => void;
}

/** Says that somebody is at the tab: the first sign at once, then at most every 30 s. A mouse that merely moves is none. */
export class ActivitySignal {
  readonly #options: ActivitySignalOptions;
  readonly #everyMs: number;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ActivitySignalOptions) {
    this.#options = options;
    this.#everyMs = Math.min(EVERY_MAX_MS, (options.idlePauseSeconds * 1000) / 4);
    for (const name of EVENTS)
      options.target.addEventListener(name, this.#onEvent, { capture: true, passive: true });
  }

  close(): void {
    for (const name of EVENTS)
      this.#options.target.removeEventListener(name, this.#onEvent, { capture: true });
  }

  readonly #onEvent = () => {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#toldAtMs < this.#everyMs) return;
    this.#toldAtMs = nowMs;
    this.#options.onActive();
  };
}
