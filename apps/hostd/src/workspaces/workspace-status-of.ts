import type { Isolation, StartStage, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { WorkStatus } from "../idle/work-meter.ts";
import { dueTimes } from "./due-times.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";

export interface LiveFacts {
  stage: StartStage | undefined;
  operation: WorkspaceStatus["operation"];
  sessionCount: number;
  work: WorkStatus;
  isolation: Isolation;
}

/** What everybody outside sees of a record and of what only memory knows. Absent values are left out. */
export function workspaceStatusOf(record: Readonly<WorkspaceRecord>, live: LiveFacts): WorkspaceStatus {
  const { state, errorCode, startedBy, pausedIn, lostMemory, expiresAtMs } = record;
  const { stage, work } = live;
  const isRunning = state === "running";
  const { stop: stopsAtMs, archive: archivesAtMs } = dueTimes(record);
  const operation = live.operation ?? pending(record);
  const { lastWork = record.lastWork ?? undefined, ...awake } = work;
  return {
    workspaceId: record.workspaceId,
    ownerId: record.ownerId,
    state,
    reason: record.reason,
    sinceMs: record.sinceMs,
    generation: record.generation,
    ...(stage === undefined ? {} : { stage }),
    ...(errorCode === null ? {} : { errorCode }),
    ...(startedBy === null || !isRunning ? {} : { startedBy }),
    sessionCount: live.sessionCount,
    ...(isRunning ? awake : {}),
    keepAwakeMaxSeconds: record.keepAwakeMaxSeconds,
    ...(lastWork === undefined ? {} : { lastWork }),
    ...(pausedIn === null ? {} : { pausedIn }),
    ...(lostMemory === null ? {} : { lostMemory }),
    ...(stopsAtMs === undefined ? {} : { stopsAtMs }),
    ...(archivesAtMs === undefined ? {} : { archivesAtMs }),
    ...(expiresAtMs === null ? {} : { expiresAtMs }),
    ...(operation === undefined ? {} : { operation }),
    isolation: live.isolation,
    egress: record.egress,
  };
}

function pending({ operation }: Readonly<WorkspaceRecord>): WorkspaceStatus["operation"] {
  return operation === null ? undefined : { kind: operation.kind, startedAtMs: operation.startedAtMs };
}
