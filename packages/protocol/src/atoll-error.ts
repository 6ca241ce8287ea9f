import * as z from "zod";
import { ERRORS, type ErrorCode, isErrorCode } from "./errors.ts";

const DETAIL_MAX_CHARS = 500;

/** Small facts a caller can act on (`{ limit, used, plan }`); never secrets, never free text from inside. */
export const errorDetails = z.record(
  z.string(),
  z.union([z.string().max(DETAIL_MAX_CHARS), z.number(), z.boolean(), z.null()]),
);
export type ErrorDetails = z.infer<typeof errorDetails>;

/** The only error shape that crosses a process. Unknown codes from a newer peer read as `internal`. */
export const wireError = z.object({
  code: z.string().max(64),
  details: errorDetails.optional(),
});
export type WireError = z.infer<typeof wireError>;

/** An error with a code of the table. `message` is for logs; people read the words of the code. */
export class AtollError extends Error {
  override readonly name = "AtollError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails | undefined;

  constructor(
    code: ErrorCode,
    message?: string,
    options: { cause?: unknown; details?: ErrorDetails | undefined } = {},
  ) {
    super(message ?? ERRORS[code].what, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }

  get http(): number {
    return ERRORS[this.code].http;
  }

  /** Details may repeat what a caller sent, as a field's name: cut to what a peer takes. A longer RESET costs the link. */
  toWire(): WireError {
    if (this.details === undefined) return { code: this.code };
    const entries = Object.entries(this.details).map(([name, value]) => [
      name,
      typeof value === "string" ? value.slice(0, DETAIL_MAX_CHARS) : value,
    ]);
    return { code: this.code, details: Object.fromEntries(entries) };
  }

  static fromWire(value: unknown): AtollError {
    const parsed = wireError.safeParse(value);
    if (!parsed.success) return new AtollError("internal", "peer sent an unreadable error");
    const { code, details } = parsed.data;
    return new AtollError(isErrorCode(code) ? code : "internal", `peer reported ${code}`, { details });
  }
}

/** The one door at a process edge: what is not ours becomes `internal`, its text stays inside. */
export function toAtollError(cause: unknown): AtollError {
  return cause instanceof AtollError ? cause : new AtollError("internal", "unexpected fault", { cause });
}
