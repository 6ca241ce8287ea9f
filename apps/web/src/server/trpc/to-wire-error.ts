import { AtollError } from "@atoll/protocol/atoll-error";
import type { TRPCError } from "@trpc/server";
import { z } from "zod";

/** The one door out of tRPC: every failure as a code of the table. Text from inside never leaves. */
export function toWireFailure(error: TRPCError): AtollError {
  if (error.cause instanceof AtollError) return error.cause;
  if (error.cause instanceof z.ZodError) {
    const field = error.cause.issues[0]?.path.join(".") ?? "";
    return new AtollError("request.invalid", undefined, { details: { field }, cause: error });
  }
  switch (error.code) {
    case "NOT_FOUND":
      return new AtollError("request.unknown", undefined, { cause: error });
    case "PAYLOAD_TOO_LARGE":
      return new AtollError("request.too_large", undefined, { cause: error });
    case "BAD_REQUEST":
    case "PARSE_ERROR":
    case "METHOD_NOT_SUPPORTED":
    case "UNSUPPORTED_MEDIA_TYPE":
      return new AtollError("request.invalid", undefined, { cause: error });
    case "CLIENT_CLOSED_REQUEST":
      return new AtollError("request.aborted", undefined, { cause: error });
    default:
      return new AtollError("internal", undefined, { cause: error });
  }
}
