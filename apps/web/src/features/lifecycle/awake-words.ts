import type { AwakeReason } from "@atoll/protocol/workspace-status";
import { dateWords } from "#ui/date-words.ts";

/** What keeps, or kept, a machine awake, in words that stand after "Awake:" and "Last work:". */
export function awakeWords({ kind, detail, untilMs }: AwakeReason, nowMs: number): string {
  const named = detail === "" ? "" : ` (${detail})`;
  switch (kind) {
    case "input":
      return "typing";
    case "foreground":
      return detail === "" ? "a program in a terminal" : `${detail} in a terminal`;
    case "cpu":
      return `a busy processor${named}`;
    case "network":
      return `network traffic${named}`;
    case "preview":
      return `preview traffic${named}`;
    case "api":
      return `a request of yours${named}`;
    case "lease":
      return untilMs === undefined
        ? `kept awake${named}`
        : `kept awake until ${dateWords(untilMs, nowMs)}${named}`;
  }
}
