import { readFileSync } from "node:fs";
import { destination, pino } from "pino";
import { readEnv } from "./env.ts";
import { startHostd } from "./hostd.ts";
import { plainSwap } from "./plain-swap.ts";

const env = readEnv();
// Written at once: what was logged before a kill must be there. Never the content of a guest or a body of a request.
const logger = pino({ level: env.ATOLL_LOG_LEVEL, base: { process: "hostd" } }, destination({ sync: true }));

/** Nothing was wrong with this process; starting it again would only take the data away from its successor. */
const LEASE_LOST_EXIT = 75;
/** Machines run on that could not be paused: whoever is about to switch the host off should look first. */
const LEFT_EXIT = 3;

const stopRequested = Promise.withResolvers<undefined>();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    logger.info({ signal }, "asked to stop");
    stopRequested.resolve(undefined);
  });
}
process.on("uncaughtException", (error) => {
  // Crash-only: machines go on, the next start adopts them.
  logger.fatal({ err: error }, "unexpected fault");
  process.exit(70);
});
process.on("unhandledRejection", (error) => {
  logger.fatal({ err: error }, "unhandled rejection");
  process.exit(70);
});

const swap = plainSwap(readFileSync("/proc/swaps", "utf8"));
if (swap.length > 0) {
  logger.warn({ swap }, "memory of machines may be written to swap: turn it off or encrypt it");
}

try {
  const hostd = await startHostd(env, logger);
  const lost = await Promise.race([stopRequested.promise, hostd.leaseLost]);
  if (lost !== undefined) {
    logger.fatal({ code: lost.code, err: lost }, "another hostd has this data now");
    process.exit(LEASE_LOST_EXIT);
  }
  const { leftCount } = await hostd.drain();
  process.exit(leftCount > 0 ? LEFT_EXIT : 0);
} catch (error) {
  logger.fatal({ err: error }, "hostd cannot go on");
  process.exit(1);
}
