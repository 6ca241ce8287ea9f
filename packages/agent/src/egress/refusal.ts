import { type AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { ERRORS, type ErrorCode } from "@atoll/protocol/errors";

export interface Refusal {
  status: number;
  /** Many programs show nothing of an answer but this. */
  reason: string;
  /** One line for people. */
  body: string;
}

/** What is our own fault or the link's is "not available"; the rest keeps the table's status. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  "link.lost": 503,
  "link.stream_limit": 429,
  "stream.reset": 502,
  "request.timeout": 504,
};

export function refusalOf(cause: unknown): Refusal {
  const error: AtollError = toAtollError(cause);
  const words = ERRORS[error.code];
  return {
    status: STATUS[error.code] ?? words.http,
    reason: `${error.code}: ${words.what}`.replace(/[^\x20-\x7e]/g, ""),
    body: `atoll: ${error.code}: ${words.what} ${words.why} ${words.now}\n`,
  };
}
