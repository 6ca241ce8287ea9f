import type { Logger } from "pino";

/** Faults no listener caught that may pass before the process is thought to be broken itself. */
const STRIKES_MAX = 10;
const STRIKE_WINDOW_MS = 60_000;

export interface LastResortOptions {
  log: Logger;
  /** Monotonic milliseconds. */
  now: () => number;
  /** Too many strikes: end the process, its supervisor starts a new one. */
  giveUp: () => void;
}

/**
 * Keeps one bad packet from ending everybody's connection. Work that a packet starts runs before the next
 * packet is read, so the client that sent the last one is the suspect; it is dropped and the rest go on.
 */
export class LastResort {
  readonly #options: LastResortOptions;
  #suspect: (() => void) | undefined;
  #strikes: number[] = [];

  constructor(options: LastResortOptions) {
    this.#options = options;
  }

  /** A packet of this client is about to be handled. `drop` must not throw. */
  suspect(drop: () => void): void {
    this.#suspect = drop;
  }

  /** For `uncaughtException` and `unhandledRejection`. */
  handle(error: unknown): void {
    const now = this.#options.now();
    this.#strikes = this.#strikes.filter((at) => now - at < STRIKE_WINDOW_MS);
    this.#strikes.push(now);
    const drop = this.#suspect;
    this.#suspect = undefined;
    this.#options.log.error({ err: error, isClientDropped: drop !== undefined }, "uncaught fault");
    drop?.();
    if (this.#strikes.length > STRIKES_MAX) this.#options.giveUp();
  }
}
