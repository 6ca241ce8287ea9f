import { PLAN_TIMES } from "@atoll/protocol/plans";
import { z } from "zod";
import { type WorkspaceRecord, workspaceRecord } from "./workspace-record.ts";

/** What a record has when nobody said otherwise. */
export const RECORD_DEFAULTS = {
  retention: {
    stopAfterPausedSeconds: PLAN_TIMES.free.stopAfterPausedSeconds,
    archiveAfterStoppedSeconds: PLAN_TIMES.free.archiveAfterStoppedSeconds,
  },
  maxCheckpoints: PLAN_TIMES.enterprise.maxCheckpoints,
} as const;

/** Fields that format 1 did not have, as they were for every workspace of its time. */
const SINCE_FORMAT_1 = {
  ...RECORD_DEFAULTS,
  expiresAtMs: null,
  checkpointEverySeconds: null,
  origin: null,
  isArchived: false,
  handshake: null,
  sealsAtMs: null,
  restoredFrom: null,
  lastRestoreId: null,
  operation: null,
  lostMemory: null,
  lastWork: null,
  lease: null,
  checkpointedAtMs: null,
} satisfies Partial<WorkspaceRecord>;

const anyFormat = z.looseObject({ format: z.number() });

/** Of any format that was ever written. @throws ZodError */
export function readWorkspaceRecord(value: unknown): WorkspaceRecord {
  const found = anyFormat.parse(value);
  if (found.format !== 1) return workspaceRecord.parse(found);
  // Format 1 left its paused ones nowhere but on the disk.
  const pausedIn = found.state === "paused" ? "disk" : null;
  return workspaceRecord.parse({ ...found, ...SINCE_FORMAT_1, format: 2, pausedIn });
}
