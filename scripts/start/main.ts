import { Progress } from "../bootstrap/progress.mjs";
import { lockDataDirectory } from "./data-lock.ts";
import { readEnv } from "./env.ts";
import { makeLayout } from "./layout.ts";
import { prepare } from "./prepare.ts";
import { identify } from "./process-identity.ts";
import { startStack } from "./stack.ts";
import { listenForStop } from "./stop-signals.ts";

/** `npm start` once everything is installed: build, start, wait for the end, stop. */
const EXIT_INTERRUPTED = 130;
const progress = new Progress();
const signals = listenForStop();
const startedMs = performance.now();

try {
  const env = readEnv(process.env);
  const layout = makeLayout(env.dataDirectory);
  const self = identify(process.pid) ?? { pid: process.pid, startTicks: 0 };
  await using _lock = await lockDataDirectory(layout.data, self);
  const { signal } = signals.stop;
  // Until there is anything to stop in order, asking twice ends at once.
  const leave = () => process.exit(EXIT_INTERRUPTED);
  signals.hurry.signal.addEventListener("abort", leave);
  await prepare({ cacheDirectory: env.cacheDirectory, logs: layout.logs, progress, signal });
  const stack = await startStack({ env, progress, signal });
  signals.hurry.signal.removeEventListener("abort", leave);
  const { isolation, template } = await stack.health(signal);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  progress.note(`
Atoll is ready (${seconds} s):  ${stack.webUrl}

  First account   open ${stack.webUrl}/signup and choose an e-mail address and a password
  Isolation       ${isolation === "hardware" ? "hardware (KVM)" : "emulated (no KVM here): slower, and no security boundary; for yourself on localhost"}
  Template        ${template === "ready" ? "ready" : `${template}: the first workspace may take a minute`}
  Data            ${layout.data}
  Logs            ${layout.logs}

Ctrl-C stops everything; running machines are paused and come back as they were.`);
  await signals.stopped;
  progress.note("\nStopping. Ctrl-C again to hurry.");
  await stack.stop(signals.hurry.signal);
} catch (error) {
  if (!signals.stop.signal.aborted) {
    progress.failure(error);
    process.exitCode = 1;
  } else {
    progress.note("Stopped before it was ready.");
    process.exitCode = EXIT_INTERRUPTED;
  }
} finally {
  signals.forget();
}
