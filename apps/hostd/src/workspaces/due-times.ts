import type { WorkspaceRecord } from "./journal/workspace-record.ts";

/** What happens to a workspace by itself, by the time on the wall. */
export type DueKind = "seal" | "stop" | "archive" | "expire" | "checkpoint" | "erase";
export type DueTimes = Partial<Record<DueKind, number>>;

/** An erasure that somebody waits for is not doubled. */
const ERASE_RETRY_MS = 30_000;

/** From the record alone, so that a restart of hostd changes nothing; what fell due meanwhile is due at once. */
export function dueTimes(record: Readonly<WorkspaceRecord>): DueTimes {
  const { state, sinceMs, retention, disk } = record;
  if (state === "erased") return {};
  if (record.tombstone !== null) return { erase: record.tombstone.requestedAtMs + ERASE_RETRY_MS };
  const due: DueTimes = {};
  if (record.expiresAtMs !== null) due.expire = record.expiresAtMs;
  if (state === "paused") {
    due.stop = sinceMs + retention.stopAfterPausedSeconds * 1000;
    if (record.pausedIn === "memory") due.seal = record.sealsAtMs ?? sinceMs;
  }
  if (state === "stopped" && disk !== null) {
    due.archive = sinceMs + retention.archiveAfterStoppedSeconds * 1000;
  }
  if (state === "running" && record.checkpointEverySeconds !== null) {
    due.checkpoint = Math.max(sinceMs, record.checkpointedAtMs ?? 0) + record.checkpointEverySeconds * 1000;
  }
  return due;
}
