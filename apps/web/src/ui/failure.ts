import type { ErrorDetails } from "@atoll/protocol/atoll-error";
import { AtollError } from "@atoll/protocol/atoll-error";
import { ERRORS, type ErrorCode, isErrorCode } from "@atoll/protocol/errors";

export interface Failure {
  code: ErrorCode;
  details?: ErrorDetails | undefined;
  what: string;
  why: string;
  now: string;
}

/** The words for a code. Unknown codes of a newer server read as an internal fault. */
export function failureOf(code: unknown, details?: ErrorDetails): Failure {
  const known = isErrorCode(code) ? code : "internal";
  const { what, why, now } = ERRORS[known];
  return { code: known, details, what, why, now };
}

/** Any thrown value: ours, tRPC's (its `data` carries our code), or the network's. */
export function toFailure(error: unknown): Failure {
  if (error instanceof AtollError) return failureOf(error.code, error.details);
  if (typeof error === "object" && error !== null && "data" in error) {
    const data = error.data as { code?: unknown; details?: ErrorDetails } | null | undefined;
    if (data?.code !== undefined) return failureOf(data.code, data.details);
  }
  // A request that got no answer at all: the server is away or the network is.
  return {
    ...failureOf("link.lost"),
    what: "The server did not answer.",
    why: "It is restarting, or you are offline.",
  };
}
