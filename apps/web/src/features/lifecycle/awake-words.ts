import type { AwakeReason } from "@atoll/protocol/workspace-status";
import { dateWords } from "#ui/date-words.ts";

/** The host's word for where somebody was at work. */
const INPUT_WORDS: Record<string, string> = {
  terminal: "typing in a terminal",
  files: "changing files",
  program: "running a program",
};

/** A lease that was asked for here has no words of its own. */
const OWN_LEASE = "kept awake";

/** What keeps, or kept, a machine awake, in words that stand after "Awake:" and "Last work:". */
export function awakeWords({ kind, detail, untilMs, askedUntilMs }: AwakeReason, nowMs: number): string {
  switch (kind) {
    case "input":
      return INPUT_WORDS[detail] ?? "keys or clicks here";
    case "foreground":
      return detail === "" ? "a program in a terminal" : `${detail} in a terminal`;
    case "cpu":
      return detail === "" ? "a busy processor" : detail;
    case "network":
      return detail === "" ? "network traffic" : detail;
    case "preview":
      return detail === "" ? "preview traffic" : `preview traffic (${detail})`;
    case "api":
      return detail === "started" ? "being started" : detail === "" ? "a request of yours" : detail;
    case "lease": {
      const until = untilMs === undefined ? "" : ` until ${dateWords(untilMs, nowMs)}`;
      const words = detail === OWN_LEASE ? "" : detail;
      const notes = askedUntilMs === undefined ? [words] : [words, "as long as the plan allows"];
      const shown = notes.filter((note) => note !== "").join("; ");
      return `kept awake${until}${shown === "" ? "" : ` (${shown})`}`;
    }
  }
}
