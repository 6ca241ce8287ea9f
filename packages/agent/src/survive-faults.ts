import type { EventEmitter } from "node:events";
import type { Clock } from "@atoll/base/clock";
import type { Log } from "./log.ts";

/** A fault now and then costs one stream or nothing; a storm of them is a state that only a restart mends. */
const FAULTS_MAX = 20;
const WITHIN_MS = 60_000;

export interface SurviveFaultsOptions {
  process: EventEmitter & { exit(code: number): void };
  clock: Clock;
  log: Log;
}

/**
 * Ending here would hang up every terminal of the user, so a fault nobody caught is logged and the agent goes on.
 * What made it is a stream's handler, whose stream the link ends.
 */
export function surviveFaults({ process, clock, log }: SurviveFaultsOptions): void {
  const timesMs: number[] = [];
  const onFault = (cause: unknown) => {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    log(`fault: ${text}`);
    const now = clock.monotonic();
    timesMs.push(now);
    while ((timesMs[0] ?? now) < now - WITHIN_MS) timesMs.shift();
    if (timesMs.length > FAULTS_MAX) process.exit(1);
  };
  process.on("uncaughtException", onFault);
  process.on("unhandledRejection", onFault);
}
