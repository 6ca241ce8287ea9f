import { createWorkspace, keepAwakeMaxSeconds, retention, workspaceOrigin } from "@atoll/protocol/hostd-api";
import { uuid, workspaceSlug } from "@atoll/protocol/ids";
import { LEASE_MAX_SECONDS, LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { awakeReason, stateReason, workspaceState, workspaceStatus } from "@atoll/protocol/workspace-status";
import { z } from "zod";

export const machineRecord = z.strictObject({
  machineId: z.string(),
  runDirectory: z.string(),
  pid: z.number().int().positive(),
  startTicks: z.string(),
  hostBootId: z.string(),
  uid: z.number().int().nonnegative(),
  templateId: z.string().nullable(),
  baseId: z.string().nullable().default(null),
  baseRamPath: z.string(),
  basePagesPath: z.string().nullable().default(null),
  isBooted: z.boolean().default(false),
  fingerprint: z.string().nullable().default(null),
});

export const diskRecord = z.strictObject({
  diskId: z.string(),
  imageKey: z.string(),
  templateId: z.string(),
  epoch: z.number().int().nonnegative(),
});

export const linkToken = z.string().regex(new RegExp(`^[0-9a-f]{${LINK_TOKEN_BYTES * 2}}$`));

/** Once set the workspace only goes towards `erased`. */
export const tombstone = z.strictObject({
  requestedAtMs: z.number(),
  keyDestroyedAtMs: z.number().nullable(),
  dataUnlinkedAtMs: z.number().nullable(),
});

/** A restore under way, written before its first step: what a new hostd finds decides whether it is undone or finished. */
const restoreInProgress = z.strictObject({
  kind: z.literal("restore"),
  checkpointId: uuid,
  safetyCheckpointId: uuid,
  /** What the caller knows it by; `lastRestoreId` once the disk was put back. Before it was kept: the safety checkpoint. */
  restoreId: uuid.optional(),
  wasRunning: z.boolean(),
  startedAtMs: z.number(),
  /** The safety checkpoint is stored; from here on it is only finished, never undone. */
  isReplacing: z.boolean(),
});

/** The journal's truth about one workspace. Written whole at each change that must survive a crash. */
export const workspaceRecord = z.strictObject({
  format: z.literal(2),
  workspaceId: uuid,
  ownerId: uuid,
  slug: workspaceSlug,
  image: z.string(),
  size: z.strictObject({ cpus: z.number(), memoryMb: z.number(), diskMb: z.number() }),
  egress: egressPreset,
  idlePauseSeconds: z.number().int().positive(),
  retention,
  expiresAtMs: z.number().nullable(),
  checkpointEverySeconds: z.number().int().positive().nullable(),
  maxCheckpoints: createWorkspace.shape.maxCheckpoints.unwrap(),
  /** Records from before it was kept have the longest there is. */
  keepAwakeMaxSeconds: keepAwakeMaxSeconds.default(LEASE_MAX_SECONDS),
  origin: workspaceOrigin.nullable(),
  state: workspaceState,
  reason: stateReason,
  sinceMs: z.number(),
  generation: z.number().int().nonnegative(),
  errorCode: z.string().nullable(),
  startedBy: workspaceStatus.shape.startedBy.unwrap().nullable(),
  /** Null until the first create got one. */
  disk: diskRecord.nullable(),
  /** The disk may be in its archived form: `unarchive` comes before anything that opens it. */
  isArchived: z.boolean(),
  snapshot: z
    .strictObject({ snapshotId: z.string(), sizeBytes: z.number(), createdAtMs: z.number() })
    .nullable(),
  machine: machineRecord.nullable(),
  /** Of a start under way: how the handshake with `machine` goes that was not answered yet. */
  handshake: z
    .strictObject({ reason: z.enum(["boot", "create", "resume"]), expectedToken: linkToken })
    .nullable(),
  pausedIn: z.enum(["memory", "disk"]).nullable(),
  /** Of one paused in memory: when its grace time is over. */
  sealsAtMs: z.number().nullable(),
  /** The checkpoint the disk was put back to and whose memory the next start uses. */
  restoredFrom: uuid.nullable(),
  /** The safety checkpoint of the last restore that was done: a repeated one is known by it. */
  lastRestoreId: uuid.nullable(),
  operation: restoreInProgress.nullable(),
  lostMemory: z.strictObject({ code: z.string(), atMs: z.number() }).nullable(),
  /** As of the last pause or stop. */
  lastWork: z.strictObject({ reason: awakeReason, atMs: z.number() }).nullable(),
  /** Held by the interface or API. */
  lease: z.strictObject({ untilMs: z.number(), detail: z.string() }).nullable(),
  /** Of the newest automatic one. */
  checkpointedAtMs: z.number().nullable(),
  /** The workspace's own; the agent waits for it after its first handshake and keeps it over pause and resume. */
  linkToken,
  keyCommitment: z.string().nullable(),
  tombstone: tombstone.nullable(),
});
export type WorkspaceRecord = z.infer<typeof workspaceRecord>;

/** Left by a delete that names a workspace or owner this host never had, so that a late create stays refused. */
export const tombstoneRecord = z.strictObject({
  format: z.literal(1),
  kind: z.enum(["workspace", "owner"]),
  id: uuid,
  requestedAtMs: z.number(),
  ownerKeyCommitment: z.string().nullable(),
  ownerKeyDestroyedAtMs: z.number().nullable(),
});
export type TombstoneRecord = z.infer<typeof tombstoneRecord>;
