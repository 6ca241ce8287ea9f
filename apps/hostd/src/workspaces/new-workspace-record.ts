import { randomBytes } from "node:crypto";
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import { LEASE_MAX_SECONDS, LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import { RECORD_DEFAULTS } from "./journal/read-workspace-record.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";

/** As the journal has a workspace that was asked for and has nothing yet. */
export function newWorkspaceRecord(
  workspaceId: string,
  body: CreateWorkspace,
  nowMs: number,
): WorkspaceRecord {
  const { ownerId, slug, image, cpus, memoryMb, diskMb, egress, idlePauseSeconds } = body;
  return {
    format: 2,
    workspaceId,
    ownerId,
    slug,
    image,
    size: { cpus, memoryMb, diskMb },
    egress,
    idlePauseSeconds,
    retention: body.retention ?? RECORD_DEFAULTS.retention,
    expiresAtMs: body.expiresAtMs ?? null,
    checkpointEverySeconds: body.checkpointEverySeconds ?? null,
    maxCheckpoints: body.maxCheckpoints ?? RECORD_DEFAULTS.maxCheckpoints,
    keepAwakeMaxSeconds: body.keepAwakeMaxSeconds ?? LEASE_MAX_SECONDS,
    origin: body.origin ?? null,
    state: "creating",
    reason: body.origin === undefined ? "requested" : "forked",
    sinceMs: nowMs,
    generation: 1,
    errorCode: null,
    startedBy: null,
    disk: null,
    isArchived: false,
    snapshot: null,
    machine: null,
    handshake: null,
    pausedIn: null,
    sealsAtMs: null,
    restoredFrom: null,
    lastRestoreId: null,
    operation: null,
    lostMemory: null,
    lastWork: null,
    lease: null,
    checkpointedAtMs: null,
    linkToken: randomBytes(LINK_TOKEN_BYTES).toString("hex"),
    keyCommitment: null,
    tombstone: null,
  };
}
