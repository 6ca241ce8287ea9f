import type { AtollError } from "@atoll/protocol/atoll-error";
import { ERRORS } from "@atoll/protocol/errors";

const FIRST_DELAY_MS = 400;
const LAST_DELAY_MS = 15_000;

/** Whether waiting can help. If not, the person has to decide. */
export function canRetry(error: AtollError): boolean {
  const { retry } = ERRORS[error.code];
  return retry === "later" || retry === "after_reconnect";
}

/** Doubles up to 15 s, with a fifth of jitter so that a restarted gateway is not met by everybody at once. */
export function retryDelayMs(attempt: number, random: () => number): number {
  const base = Math.min(FIRST_DELAY_MS * 2 ** attempt, LAST_DELAY_MS);
  return Math.round(base * (0.9 + 0.2 * random()));
}
