import type { Workspace } from "@atoll/db/generated/client";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import {
  type AwakeReason,
  type Isolation,
  type StartStage,
  type StateReason,
  stateReason,
  type WorkspaceState,
  type WorkspaceStatus,
  workspaceState,
} from "@atoll/protocol/workspace-status";

/** A workspace as lists and the IDE's first paint show it. */
export interface WorkspaceView {
  id: string;
  slug: string;
  name: string;
  cpus: number;
  memoryMb: number;
  diskMb: number;
  egress: EgressPreset;
  createdAt: Date;
  lastActiveAt: Date;
  /** `unstarted`: the row exists, but no machine was ever made for it. */
  state: WorkspaceState | "unstarted";
  reason: StateReason | null;
  sinceMs: number;
  sessionCount: number;
  pausesAtMs?: number | undefined;
  warnsAtMs?: number | undefined;
  awakeBecause?: AwakeReason[] | undefined;
  lastWork?: { reason: AwakeReason; atMs: number } | undefined;
  pausedIn?: "memory" | "disk" | undefined;
  stopsAtMs?: number | undefined;
  archivesAtMs?: number | undefined;
  expiresAtMs?: number | undefined;
  operation?: WorkspaceStatus["operation"] | undefined;
  stage?: StartStage | undefined;
  errorCode?: string | undefined;
  isolation?: Isolation | undefined;
  /** False: this is the last state we heard of, hostd does not answer at the moment. */
  isLive: boolean;
}

/** hostd's word goes before the database's copy, which goes before a guess. */
export function workspaceView(
  row: Workspace,
  status: WorkspaceStatus | undefined,
  isHostReachable: boolean,
): WorkspaceView {
  const base = {
    id: row.id,
    slug: row.slug,
    name: row.name,
    cpus: row.cpus,
    memoryMb: row.memoryMb,
    diskMb: row.diskMb,
    egress: row.egress,
    createdAt: row.createdAt,
    lastActiveAt: row.lastActiveAt,
  };
  if (status) return { ...base, ...liveFields(status), isLive: isHostReachable };
  const stored = workspaceState.safeParse(row.state);
  const isKnown = row.generation > 0 && stored.success && !isHostReachable;
  return {
    ...base,
    state: isKnown ? stored.data : "unstarted",
    reason: stateReason.safeParse(row.stateReason).data ?? null,
    sinceMs: row.stateSince.getTime(),
    sessionCount: 0,
    expiresAtMs: row.expiresAt?.getTime(),
    isLive: false,
  };
}

/** The part of a view that comes from hostd; a live update replaces exactly these fields. */
export function liveFields(status: WorkspaceStatus) {
  return {
    state: status.state,
    reason: status.reason,
    sinceMs: status.sinceMs,
    sessionCount: status.sessionCount,
    pausesAtMs: status.pausesAtMs,
    warnsAtMs: status.warnsAtMs,
    awakeBecause: status.awakeBecause,
    lastWork: status.lastWork,
    pausedIn: status.pausedIn,
    stopsAtMs: status.stopsAtMs,
    archivesAtMs: status.archivesAtMs,
    expiresAtMs: status.expiresAtMs,
    operation: status.operation,
    stage: status.stage,
    errorCode: status.errorCode,
    isolation: status.isolation,
  };
}
