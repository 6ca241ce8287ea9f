/** What a workspace is doing, since when, why, and what comes next: the one wording for dashboard and workbench. */
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { atDate, dateWords } from "#ui/date-words.ts";
import { failureOf } from "#ui/failure.ts";
import { clockTime } from "#ui/relative-time.ts";
import { awakeWords } from "./awake-words.ts";
import { OPERATION_WORDS } from "./operation-words.ts";

export type StoryFacts = Pick<
  WorkspaceView,
  | "state"
  | "reason"
  | "sinceMs"
  | "pausesAtMs"
  | "awakeBecause"
  | "lastWork"
  | "pausedIn"
  | "stopsAtMs"
  | "archivesAtMs"
  | "expiresAtMs"
  | "operation"
  | "errorCode"
>;

export interface StateStory {
  /** "Paused since 14:02, still in memory". */
  now: string;
  why?: string | undefined;
  /** Each with its date. */
  next: string[];
}

export function stateStory(facts: StoryFacts, nowMs: number): StateStory {
  return { now: nowWords(facts, nowMs), why: whyWords(facts, nowMs), next: nextWords(facts, nowMs) };
}

function nowWords(facts: StoryFacts, nowMs: number): string {
  const since = `since ${dateWords(facts.sinceMs, nowMs)}`;
  if (facts.operation) return OPERATION_WORDS[facts.operation.kind];
  switch (facts.state) {
    case "running":
      return facts.reason === "host_disk" ? "Standing still" : `Running ${since}`;
    case "paused":
      return facts.pausedIn === "memory"
        ? `Paused ${since}, still in memory`
        : `Paused ${since}, sealed on disk`;
    case "stopped":
      return `Stopped ${since}, files on disk`;
    case "archived":
      return `Archived ${since}, packed away`;
    case "failed":
      return `Failed ${since}`;
    case "unstarted":
      return "No machine was made for it yet";
    default:
      return `${facts.state[0]?.toUpperCase()}${facts.state.slice(1)} ${since}`;
  }
}

/** Why it is in that state, where that tells something. */
export function whyWords(facts: StoryFacts, nowMs: number): string | undefined {
  const { state, reason, lastWork, awakeBecause, errorCode } = facts;
  if (state === "running") {
    if (reason === "host_disk") return standingWords(errorCode);
    if (awakeBecause?.length) return `Awake: ${awakeList(facts, nowMs)}.`;
    if (reason === "disk_full")
      return "Pausing was not possible: the host's disk is full. It stays running, nothing is lost.";
    return lastWork ? lastWorkWords(lastWork, nowMs) : undefined;
  }
  if (state === "paused")
    return `${pausedWords(reason)} ${lastWork ? lastWorkWords(lastWork, nowMs) : ""}`.trim();
  if (state === "stopped") return stoppedWords(reason);
  if (state === "archived") return "It was not used for long. Its first start takes a little longer.";
  if (state === "failed") return failureOf(errorCode ?? "workspace.failed").why;
  if (errorCode) return failureOf(errorCode).what;
  return undefined;
}

/** The host's disk refused a write, and the machine waits for it. */
export function standingWords(errorCode: StoryFacts["errorCode"]): string {
  return errorCode === "host.disk_failed"
    ? "The host's disk does not take what the machine writes. It stands still while that is tried again."
    : "The host's disk is full. The machine stands still until there is room, then it goes on; nothing is lost.";
}

function nextWords(facts: StoryFacts, nowMs: number): string[] {
  const next: string[] = [];
  const mayPause = facts.state === "running" && facts.reason !== "host_disk";
  if (mayPause && facts.pausesAtMs !== undefined && !facts.awakeBecause?.length)
    next.push(`Pauses in ${clockTime(facts.pausesAtMs - nowMs)}`);
  if (facts.state === "paused" && facts.stopsAtMs !== undefined)
    next.push(`Stops ${atDate(facts.stopsAtMs, nowMs)}: memory is given up, files stay`);
  if (facts.state === "stopped" && facts.archivesAtMs !== undefined)
    next.push(`Archived ${atDate(facts.archivesAtMs, nowMs)}`);
  if (facts.expiresAtMs !== undefined && facts.state !== "erased")
    next.push(`Erased for good ${atDate(facts.expiresAtMs, nowMs)}`);
  return next;
}

/** Everything that keeps it awake, the newest first, none twice. */
export function awakeList(facts: Pick<StoryFacts, "awakeBecause">, nowMs: number): string {
  const words = [...new Set((facts.awakeBecause ?? []).map((reason) => awakeWords(reason, nowMs)))];
  return words.join(", ");
}

function lastWorkWords({ reason, atMs }: NonNullable<StoryFacts["lastWork"]>, nowMs: number): string {
  return `Last work: ${awakeWords(reason, nowMs)}, ${dateWords(atMs, nowMs)}.`;
}

function pausedWords(reason: StoryFacts["reason"]): string {
  if (reason === "idle") return "Paused by itself because nothing was going on.";
  if (reason === "host_shutdown") return "Paused because the host shut down.";
  return "Paused on request.";
}

function stoppedWords(reason: StoryFacts["reason"]): string {
  switch (reason) {
    case "guest_halted":
      return "The machine was shut down from inside.";
    case "vm_exited":
      return "The machine ended unexpectedly. Files are safe.";
    case "host_restarted":
      return "The host restarted. Memory was lost, files are safe.";
    case "retention":
      return "It was paused for as long as the plan keeps memory.";
    case "snapshot_unusable":
      return "Its memory could not be read back. Files are safe.";
    case "disk_full":
      return "There was no room to keep its memory. Files are safe.";
    default:
      return "Memory was given up; files are on its disk.";
  }
}
