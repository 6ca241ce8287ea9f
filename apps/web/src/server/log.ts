import pino from "pino";
import { env } from "#env.ts";

let logger: pino.Logger | undefined;

/** JSON lines on stdout. Never given secrets, passwords, tickets or file contents. */
export function log(): pino.Logger {
  logger ??= pino({ name: "web", level: env().logLevel });
  return logger;
}
