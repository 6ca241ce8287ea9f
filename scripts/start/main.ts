import { join } from "node:path";
import { Progress, StepFailure } from "../bootstrap/progress.mjs";
import { lockDataDirectory } from "./data-lock.ts";
import { readEnv } from "./env.ts";
import { waitForFirstTemplate } from "./first-template.ts";
import { makeLayout } from "./layout.ts";
import { prepare } from "./prepare.ts";
import { identify } from "./process-identity.ts";
import { type Stack, startStack } from "./stack.ts";
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
  try {
    await firstTemplate(stack, signal);
    await announce(stack, signal);
    await signals.stopped;
    progress.note("\nStopping. Ctrl-C again to hurry.");
  } finally {
    await stack.stop(signals.hurry.signal);
  }
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

async function firstTemplate({ health, layout }: Stack, signal: AbortSignal): Promise<void> {
  const hostdLog = join(layout.logs, "hostd.log");
  try {
    await progress.step("First template", (report) =>
      waitForFirstTemplate({ health, hostdLog, signal, report }),
    );
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    // Whoever filled the disk must get in to delete something.
    progress.failure(error);
  }
}

async function announce({ health, layout, webUrl }: Stack, signal: AbortSignal): Promise<void> {
  const { isolation, template } = await health(signal);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  progress.note(`
Atoll is ready (${seconds} s):  ${webUrl}

  First account   open ${webUrl}/signup and choose an e-mail address and a password
  Isolation       ${isolation === "hardware" ? "hardware (KVM)" : "emulated (no KVM here): slower, and no security boundary; for yourself on localhost"}
  Template        ${template === "ready" ? "ready" : "not made, see above: creating a workspace tries again"}
  Data            ${layout.data}
  Logs            ${layout.logs}

Ctrl-C stops everything; running machines are paused and come back as they were.`);
}
