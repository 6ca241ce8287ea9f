import { AtollError } from "@atoll/protocol/atoll-error";
import type { z } from "zod";

/** @throws AtollError request.invalid naming the first faulty field. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknownKey = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const field = (unknownKey ?? issue?.path.join(".") ?? "").slice(0, 200);
  throw new AtollError("request.invalid", parsed.error.message, { details: { field } });
}
