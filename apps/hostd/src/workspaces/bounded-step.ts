import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";

/** How long a step that was told to stop may take to do so. */
const SETTLE_MS = 10_000;

export interface BoundedStep<T> {
  /** For the log. */
  name: string;
  timeoutMs: number;
  clock: Clock;
  signal: AbortSignal;
  /** What came after nobody waited for it any more has no other owner. */
  onLate?: (result: NoInfer<T>) => unknown;
}

/**
 * Runs one step of an operation under a deadline and the operation's abort. A step told to stop may still end well or
 * badly by itself; one that does neither is left behind, so that nothing ever waits for it.
 */
export async function boundedStep<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { name, timeoutMs, clock, signal, onLate }: BoundedStep<T>,
): Promise<T> {
  signal.throwIfAborted();
  const abort = new AbortController();
  const { promise: leftBehind, reject } = Promise.withResolvers<never>();
  // From the moment it is left behind, not from when the caller hears of it: what ends in between has no owner, either.
  let isOver = false;
  let cancelSettle = () => {};
  const stop = (reason: unknown) => {
    if (abort.signal.aborted) return;
    abort.abort(reason);
    cancelSettle = clock.schedule(SETTLE_MS, () => {
      isOver = true;
      reject(reason);
    });
  };
  const onAbort = () => stop(signal.reason);
  const cancelDeadline = clock.schedule(timeoutMs, () =>
    stop(new AtollError("request.timeout", `${name} took too long`)),
  );
  signal.addEventListener("abort", onAbort, { once: true });
  // Also what throws before its first await: its deadline would go on without anybody to hear of it, and end the process.
  const begun = (async () => work(abort.signal))();
  const running = begun.then((result) => {
    if (isOver) void Promise.resolve(onLate?.(result)).catch(() => {});
    return result;
  });
  running.catch(() => {});
  try {
    return await Promise.race([running, leftBehind]);
  } finally {
    isOver = true;
    cancelDeadline();
    cancelSettle();
    signal.removeEventListener("abort", onAbort);
  }
}
