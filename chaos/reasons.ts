import { inspect } from "node:util";
import { AtollError } from "@atoll/protocol/atoll-error";

const REASONS_MAX = 8;

/** From the outermost to the first cause, each with its code and where it arose. */
export function reasons(error: unknown): string[] {
  const lines: string[] = [];
  for (let at = error; at !== undefined && lines.length < REASONS_MAX; ) {
    if (!(at instanceof Error)) return [...lines, inspect(at)];
    const code = at instanceof AtollError ? `${at.code}: ` : "";
    const [, frame = ""] = /\n\s+at (.*)/.exec(at.stack ?? "") ?? [];
    lines.push(`${code}${at.message} (${frame})`);
    at = at.cause;
  }
  return lines;
}
