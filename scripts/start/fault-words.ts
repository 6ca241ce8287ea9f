import { ERRORS, isErrorCode } from "@atoll/protocol/errors";
import { z } from "zod";

/** What went wrong and what to do about it, for people. */
export interface FaultWords {
  reason: string;
  remedy: string | undefined;
}

/** pino's `warn`: what a service waits for is one, and why it is not ready. */
const WARN = 40;
const line = z.object({
  level: z.number(),
  msg: z.string().optional(),
  code: z.string().optional(),
  err: z.object({ message: z.string(), code: z.string().optional() }).optional(),
});
/** What Node prints of an error that nobody caught, up to its stack. */
const UNCAUGHT = /^(?:Uncaught )?\w*Error(?: \[\w+\])?: ([\s\S]*?)(?=\n +at |\n\n|\n?(?![\s\S]))/m;

/** The last fault that a service's log tells of. Undefined when it tells of none. */
export function faultWords(log: string): FaultWords | undefined {
  for (const text of log.split("\n").reverse()) {
    const parsed = line.safeParse(asJson(text));
    if (!parsed.success || parsed.data.level < WARN) continue;
    const { err, msg } = parsed.data;
    const code = err?.code ?? parsed.data.code;
    if (code !== undefined && isErrorCode(code) && code !== "internal") {
      const { what, why, now } = ERRORS[code];
      // An error without words of its own repeats the code's; behind them are its causes.
      const detail = err?.message === what ? undefined : err?.message.replace(`${what}: `, "");
      return { reason: [`${what} ${why} (${code})`, detail].filter(Boolean).join(": "), remedy: now };
    }
    return { reason: [msg, err?.message].filter(Boolean).join(": "), remedy: undefined };
  }
  const uncaught = UNCAUGHT.exec(log)?.[1];
  return uncaught === undefined ? undefined : { reason: uncaught.trim(), remedy: undefined };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
