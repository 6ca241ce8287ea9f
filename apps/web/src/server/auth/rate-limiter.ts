import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";

export interface RateLimiterOptions {
  /** Charges allowed per window. */
  capacity: number;
  windowMs: number;
  /** Past this the key charged longest ago is forgotten: bounded memory beats a perfect memory of attackers. */
  maxKeys: number;
  clock: Clock;
}

interface Bucket {
  level: number;
  atMs: number;
}

/** Leaky bucket per key, kept in this process only. */
export class RateLimiter {
  readonly #options: RateLimiterOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimiterOptions) {
    this.#options = options;
  }

  /** @throws AtollError request.rate_limited while the key has used up its charges. Charges nothing. */
  check(key: string): void {
    const { capacity, windowMs } = this.#options;
    const level = this.#level(key);
    if (level + 1 <= capacity) return;
    const retryAfterSeconds = Math.ceil(((level + 1 - capacity) * windowMs) / capacity / 1000);
    throw new AtollError("request.rate_limited", undefined, { details: { retryAfterSeconds } });
  }

  charge(key: string): void {
    const level = this.#level(key) + 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { level, atMs: this.#options.clock.monotonic() });
    if (this.#buckets.size <= this.#options.maxKeys) return;
    const oldest = this.#buckets.keys().next();
    if (!oldest.done) this.#buckets.delete(oldest.value);
  }

  /** Takes one charge back. */
  refund(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket) bucket.level = Math.max(0, bucket.level - 1);
  }

  forget(key: string): void {
    this.#buckets.delete(key);
  }

  #level(key: string): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return 0;
    const { capacity, windowMs, clock } = this.#options;
    const leaked = ((clock.monotonic() - bucket.atMs) * capacity) / windowMs;
    return Math.max(0, bucket.level - leaked);
  }
}
