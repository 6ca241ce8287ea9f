export interface StopSignals {
  /** Aborts at the first request to stop. */
  stop: AbortController;
  /** Aborts at the second. */
  hurry: AbortController;
  stopped: Promise<void>;
  /** Lets the process end by itself. */
  forget(): void;
}

/** A terminal, `npm` and a parent may each deliver the same Ctrl-C; within this time it is one. */
const SAME_REQUEST_MS = 500;

export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const hurry = new AbortController();
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  let firstMs = Number.POSITIVE_INFINITY;
  const onSignal = () => {
    if (!stop.signal.aborted) {
      firstMs = performance.now();
      stop.abort(new Error("asked to stop"));
      resolve();
    } else if (performance.now() - firstMs > SAME_REQUEST_MS) {
      hurry.abort();
    }
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, onSignal);
  // A parent that only waits on `stopped` would otherwise end for lack of anything to do.
  const keepAlive = setInterval(() => {}, 60_000);
  return {
    stop,
    hurry,
    stopped,
    forget() {
      clearInterval(keepAlive);
      for (const name of names) process.off(name, onSignal);
    },
  };
}
