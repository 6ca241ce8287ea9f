export interface TokenBucketOptions {
  perSecond: number;
  burst: number;
  /** Monotonic milliseconds. */
  now: () => number;
}

/** Counts what already happened: taking never fails, it only says how long to wait until out of debt. */
export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #filledAt: number;

  constructor(options: TokenBucketOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#filledAt = options.now();
  }

  /** Milliseconds to read nothing more; 0 while tokens are left. */
  take(count: number): number {
    const { perSecond, burst, now } = this.#options;
    const at = now();
    this.#tokens = Math.min(burst, this.#tokens + ((at - this.#filledAt) * perSecond) / 1000) - count;
    this.#filledAt = at;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / perSecond;
  }
}
