import { systemClock } from "@atoll/base/clock";
import pino from "pino";
import { readEnv } from "./env.ts";
import { startGateway } from "./start-gateway.ts";
import { readTicketKey, TicketVerifier } from "./tickets/ticket-verifier.ts";

/** Closing is local and quick; whatever hangs past this is not worth waiting for. */
const SHUTDOWN_LIMIT_MS = 5_000;

const env = readEnv();
const log = pino({ name: "gateway", level: env.logLevel });
const tickets = new TicketVerifier({
  key: await readTicketKey(env.ticketPublicKeyFile),
  clock: systemClock,
});
const gateway = await startGateway({ ...env, tickets, clock: systemClock, log, giveUp: () => stop(1) });
process.on("uncaughtException", (error) => gateway.lastResort.handle(error));
process.on("unhandledRejection", (error) => gateway.lastResort.handle(error));
process.once("SIGTERM", () => stop(0));
process.once("SIGINT", () => stop(0));
log.info({ gatewayPort: gateway.gatewayPort, previewPort: gateway.previewPort }, "ready");

function stop(exitCode: number): void {
  setTimeout(() => process.exit(exitCode), SHUTDOWN_LIMIT_MS).unref();
  gateway[Symbol.asyncDispose]().then(
    () => process.exit(exitCode),
    (error: unknown) => {
      log.error({ err: error }, "unclean stop");
      process.exit(1);
    },
  );
}
