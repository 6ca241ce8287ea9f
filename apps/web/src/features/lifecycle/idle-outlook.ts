/** What the workbench says of a running machine's next pause. */
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { dateWords, durationWords } from "#ui/date-words.ts";
import { clockTime } from "#ui/relative-time.ts";
import { awakeWords } from "./awake-words.ts";
import { awakeList } from "./state-story.ts";

export type IdleFacts = Pick<
  WorkspaceStatus,
  "state" | "pausesAtMs" | "warnsAtMs" | "awakeBecause" | "lastWork"
>;

export interface IdleOutlook {
  /** A few words for the status bar. */
  line: string;
  /** All of it, for the tooltip. */
  detail: string;
  /** Shown when the pause is near. */
  warning: { remaining: string; lastWork: string | undefined } | undefined;
  /** A lease of the interface is held until then. */
  leaseUntilMs: number | undefined;
}

export function idleOutlook(
  facts: IdleFacts,
  idlePauseSeconds: number,
  nowMs: number,
): IdleOutlook | undefined {
  if (facts.state !== "running") return undefined;
  const { awakeBecause = [], pausesAtMs, warnsAtMs, lastWork } = facts;
  const rule = `Pauses after ${durationWords(idlePauseSeconds)} without work; memory is kept.`;
  const leaseUntilMs = awakeBecause.find(({ kind }) => kind === "lease")?.untilMs;
  const first = awakeBecause[0];
  if (first) {
    return {
      line: `Awake: ${awakeWords(first, nowMs)}`,
      detail: `Awake: ${awakeList(facts, nowMs)}. ${rule}`,
      warning: undefined,
      leaseUntilMs,
    };
  }
  if (pausesAtMs === undefined) return { line: "Awake", detail: rule, warning: undefined, leaseUntilMs };
  const last = lastWork
    ? `${awakeWords(lastWork.reason, nowMs)}, ${dateWords(lastWork.atMs, nowMs)}`
    : undefined;
  const isNear = warnsAtMs !== undefined && nowMs >= warnsAtMs && nowMs < pausesAtMs;
  return {
    line: `Pauses at ${dateWords(pausesAtMs, nowMs)}`,
    detail: last ? `Last work: ${last}. ${rule}` : rule,
    warning: isNear ? { remaining: clockTime(pausesAtMs - nowMs), lastWork: last } : undefined,
    leaseUntilMs,
  };
}

const LEASES_SECONDS = [3600, 2 * 3600, 4 * 3600, 8 * 3600];

/** What can be asked for: an hour, two, and what more the plan allows. */
export function leaseChoices(maxSeconds: number): number[] {
  const within = LEASES_SECONDS.filter((seconds) => seconds <= maxSeconds);
  return within.length > 0 ? within : [maxSeconds];
}
