import { join } from "node:path";
import { StepFailure } from "../bootstrap/progress.mjs";
import { tailOf } from "../bootstrap/run-logged.mjs";
import type { Layout } from "./layout.ts";

/** The server that npm brings did not start. */
export function embeddedFailure({ postgres }: Layout, cause: unknown): StepFailure {
  const logTail = tailOf(join(postgres, "log", "start.log"));
  return new StepFailure(`the database did not start: ${reasonOf(cause)}`, {
    cause,
    ...(logTail === "" ? {} : { logTail }),
    remedy: `Mostly the disk is full or something in ${postgres} has lost its owner or mode. Nothing in it was changed: make room or restore it, then run the same command again.`,
  });
}

/** A server elsewhere did not let us in, or is not there. */
export function externalFailure(ownerUrl: string, cause: unknown): StepFailure {
  // Never the login: this is printed.
  const { host, pathname } = new URL(ownerUrl);
  return new StepFailure(`the database ${pathname.slice(1)} at ${host} cannot be used: ${reasonOf(cause)}`, {
    cause,
    remedy:
      "Check that the server runs, lets this machine in and has that database and owner (ATOLL_DATABASE_OWNER_URL), or unset the variable for the one brought along.",
  });
}

/** Node's own errors of a connection may have no message but those inside. */
function reasonOf(cause: unknown): string {
  const inner = cause instanceof AggregateError ? (cause.errors as unknown[])[0] : cause;
  const text = inner instanceof Error ? inner.message : String(inner);
  return text.trim().split("\n")[0] ?? "";
}
