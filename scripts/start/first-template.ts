import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { StepFailure } from "../bootstrap/progress.mjs";
import { faultWords } from "./fault-words.ts";
import type { HostHealth } from "./stack.ts";

export interface FirstTemplateOptions {
  health: (signal: AbortSignal) => Promise<Pick<HostHealth, "template">>;
  hostdLog: string;
  signal: AbortSignal;
  report: (detail: string) => void;
  /** Between two questions. */
  intervalMs?: number;
}

const INTERVAL_MS = 250;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Waits for the machine that every new one is a copy of. hostd bounds how long making it may take.
 * @throws StepFailure when it could not be made: what is there already can be used all the same
 */
export async function waitForFirstTemplate(options: FirstTemplateOptions): Promise<string> {
  const { health, hostdLog, signal, report, intervalMs = INTERVAL_MS } = options;
  for (let asked = 0; ; asked++) {
    const until = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const template = await health(until).then(
      (answer) => answer.template,
      // hostd is being started again.
      () => undefined,
    );
    signal.throwIfAborted();
    if (template === "ready") return asked === 0 ? "there already" : "made";
    if (template === "failed") throw failure(hostdLog);
    report("a machine boots once, and its memory is kept: every new one begins there");
    await delay(intervalMs, undefined, { signal });
  }
}

function failure(hostdLog: string): StepFailure {
  const words = faultWords(readFileSync(hostdLog, "utf8"));
  return new StepFailure(`the first template was not made${words ? `: ${words.reason}` : ""}`, {
    remedy:
      `${words?.remedy ?? ""} Workspaces that exist can be used; creating one tries again. (log: ${hostdLog})`.trim(),
  });
}
