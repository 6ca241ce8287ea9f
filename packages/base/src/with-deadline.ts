import type { Clock } from "./clock.ts";

export interface DeadlineOptions {
  timeoutMs: number;
  clock: Clock;
  /** The caller's own cancellation; its reason is rethrown as it is. */
  signal?: AbortSignal | undefined;
  /** Makes the error of a missed deadline; called only then. */
  onTimeout: () => Error;
}

/**
 * Awaits `work`, but not past the deadline nor the caller's abort. The three ends stay distinguishable:
 * the work's own result, the error of `onTimeout`, the signal's reason. `work` itself is not cancelled:
 * give it the same signal.
 */
export async function withDeadline<T>(work: Promise<T>, options: DeadlineOptions): Promise<T> {
  const { signal } = options;
  if (signal?.aborted) {
    // Nobody waits for it any more, and its failure is not to end the process.
    work.catch(() => {});
    throw signal.reason;
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal?.reason);
  const cancelTimer = options.clock.schedule(options.timeoutMs, () => reject(options.onTimeout()));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancelTimer();
    signal?.removeEventListener("abort", onAbort);
  }
}
