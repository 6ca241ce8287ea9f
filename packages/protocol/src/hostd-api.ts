/** hostd's HTTP API for the control plane, JSON over its Unix socket. Unknown keys are refused: a caller with a typo must hear of it. */
import * as z from "zod";
import { uuid, workspaceSlug } from "./ids.ts";
import { LEASE_MAX_SECONDS } from "./limits.ts";
import { egressPreset } from "./messages/egress.ts";
import { guestPath } from "./messages/files.ts";
import { isolation, workspaceStatus } from "./workspace-status.ts";

/** Where a new workspace begins when not from an image alone. The caller has checked that the owner may read it. */
export const workspaceOrigin = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("checkpoint"), workspaceId: uuid, checkpointId: uuid }),
  /** A live fork: of a running workspace with its memory, of another with its disk. */
  z.strictObject({ kind: z.literal("workspace"), workspaceId: uuid }),
  z.strictObject({ kind: z.literal("template"), templateId: uuid }),
]);
export type WorkspaceOrigin = z.infer<typeof workspaceOrigin>;

/** Seconds in a state after which the next, cheaper one follows. */
export const retention = z.strictObject({
  stopAfterPausedSeconds: z.number().int().min(1).max(31_536_000),
  archiveAfterStoppedSeconds: z.number().int().min(1).max(31_536_000),
});

export const keepAwakeMaxSeconds = z.number().int().min(60).max(LEASE_MAX_SECONDS);

/** PUT /v1/workspaces/:id — creates and starts. Repeating it with the same body answers the same workspace. */
export const createWorkspace = z.strictObject({
  ownerId: uuid,
  slug: workspaceSlug,
  image: z.string().regex(/^[a-z0-9-]{1,32}$/),
  cpus: z.number().int().min(1).max(64),
  memoryMb: z.number().int().min(128).max(262_144),
  diskMb: z.number().int().min(512).max(1_048_576),
  egress: egressPreset,
  /** Pause this long after the last work. */
  idlePauseSeconds: z.number().int().min(1).max(604_800),
  retention: retention.optional(),
  /** A disposable workspace: erased at this time even if hostd was down then. */
  expiresAtMs: z.number().int().positive().optional(),
  /** Take a checkpoint by itself this often while there is work; absent: never. */
  checkpointEverySeconds: z.number().int().min(60).max(604_800).optional(),
  /** The plan's; hostd keeps to it where nobody asks: automatic ones are thinned, named ones refused above it. */
  maxCheckpoints: z.number().int().min(1).max(1000).optional(),
  /** The plan's: no lease is longer, whoever asks for it. Absent: LEASE_MAX_SECONDS. */
  keepAwakeMaxSeconds: keepAwakeMaxSeconds.optional(),
  origin: workspaceOrigin.optional(),
});
export type CreateWorkspace = z.infer<typeof createWorkspace>;

/** PATCH /v1/workspaces/:id — takes effect at once. */
export const updateWorkspace = z.strictObject({
  egress: egressPreset.optional(),
  idlePauseSeconds: z.number().int().min(1).max(604_800).optional(),
  retention: retention.optional(),
  checkpointEverySeconds: z.number().int().min(60).max(604_800).nullable().optional(),
  maxCheckpoints: z.number().int().min(1).max(1000).optional(),
  /** Also of leases that are held. */
  keepAwakeMaxSeconds: keepAwakeMaxSeconds.optional(),
});

/** POST /v1/workspaces/:id/{pause,resume,stop}. Answers when done with the status; `generation` guards against stale callers. */
export const lifecycleCommand = z.strictObject({ generation: z.number().int().nonnegative().optional() });

/**
 * POST /v1/workspaces/:id/keep-awake — a lease of the interface or API; 0 ends it. What the plan does not allow is cut off:
 * the status it answers with says until when, and what was asked for.
 */
export const keepAwake = z.strictObject({ seconds: z.number().int().min(0).max(LEASE_MAX_SECONDS) });

export const checkpointName = z
  .string()
  .trim()
  .min(1)
  .max(80)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u);

/**
 * PUT /v1/workspaces/:id/checkpoints/:checkpointId — repeating it answers the same checkpoint. Of a workspace that is
 * not running there is no memory to keep: `withMemory` then keeps what is sealed already, if anything is.
 */
export const createCheckpoint = z.strictObject({ name: checkpointName, withMemory: z.boolean() });

/** `automatic` ones are thinned out by age and count; `safety` ones were made before a restore. */
export const checkpointKind = z.enum(["named", "automatic", "safety"]);

export const checkpointInfo = z.object({
  checkpointId: uuid,
  name: z.string(),
  kind: checkpointKind,
  createdAtMs: z.number(),
  hasMemory: z.boolean(),
  /** The checkpoint this one's disk continues from; null at the beginning. */
  parentId: uuid.nullable(),
  /** What deleting it would free at least. */
  ownBytes: z.number().nonnegative(),
});
export type CheckpointInfo = z.infer<typeof checkpointInfo>;

/** GET /v1/workspaces/:id/checkpoints, newest first. */
export const checkpointList = z.object({
  checkpoints: z.array(checkpointInfo),
  /** The one the present disk continues from. */
  currentParentId: uuid.nullable(),
  /** On this host's disk, counted to the owner: layers (shared ones by their share), sealed memory, checkpoints. */
  usage: z.object({ layerBytes: z.number(), snapshotBytes: z.number(), layerCount: z.number().int() }),
});

/** GET /v1/owners/:id/usage — what all that is an owner's takes on this host's disk; a layer that several have counts once. */
export const ownerUsage = z.object({
  layerBytes: z.number().nonnegative(),
  /** Sealed memory of paused workspaces and of checkpoints. */
  snapshotBytes: z.number().nonnegative(),
  workspaceCount: z.number().int().nonnegative(),
  templateCount: z.number().int().nonnegative(),
  checkpointCount: z.number().int().nonnegative(),
  /** Of these it could not be found out. */
  unknownCount: z.number().int().nonnegative(),
});
export type OwnerUsage = z.infer<typeof ownerUsage>;

/**
 * POST /v1/workspaces/:id/restore — everything as it was; a safety checkpoint is made first, and its id chosen by the
 * caller makes repeating harmless. A running workspace is running again afterwards.
 */
export const restoreCheckpoint = z.strictObject({
  checkpointId: uuid,
  safetyCheckpointId: uuid,
  generation: z.number().int().nonnegative().optional(),
});

/**
 * POST /v1/workspaces/:id/restore-paths — files and folders of a checkpoint over the workspace's own. One that does not run
 * is started for it.
 */
export const restorePaths = z.strictObject({
  checkpointId: uuid,
  safetyCheckpointId: uuid,
  paths: z.array(guestPath).min(1).max(1000),
});
export const restorePathsAnswer = z.object({ restoredBytes: z.number().nonnegative() });

/** PUT /v1/templates/:id — from a checkpoint, scrubbed of secrets; a draft until published. Repeatable. */
export const createTemplate = z.strictObject({
  ownerId: uuid,
  workspaceId: uuid,
  checkpointId: uuid,
});

/** A file that scrubbing found and removed or emptied, and by which rule. */
export const scrubbedFile = z.object({ path: z.string(), rule: z.string().max(64) });

export const templateInfo = z.object({
  templateId: uuid,
  ownerId: uuid,
  state: z.enum(["making", "draft", "published", "failed", "erased"]),
  errorCode: z.string().max(64).optional(),
  scrubbed: z.array(scrubbedFile).max(1000),
  sizeBytes: z.number().nonnegative(),
  createdAtMs: z.number(),
});
export type TemplateInfo = z.infer<typeof templateInfo>;

/** GET /v1/templates. */
export const templateList = z.object({ templates: z.array(templateInfo) });

/** What an erasure leaves behind as evidence. */
export const erasure = z.object({
  workspaceId: uuid,
  /** SHA-256 of `atoll-key-commitment\0` and the key, made when the key was; hex. */
  keyCommitment: z.string().regex(/^[0-9a-f]{64}$/),
  requestedAtMs: z.number(),
  keyDestroyedAtMs: z.number(),
  dataUnlinkedAtMs: z.number().nullable(),
});
export type Erasure = z.infer<typeof erasure>;

/** DELETE /v1/workspaces/:id and DELETE /v1/owners/:id. Repeating answers the same erasures. */
export const deleteAnswer = z.object({
  erasures: z.array(erasure),
  ownerKeyCommitment: z.string().nullable(),
  ownerKeyDestroyedAtMs: z.number().nullable(),
});

/** GET /v1/tombstones — wins over rows that come back from a backup of the database. */
export const tombstoneList = z.object({
  tombstones: z.array(
    z.object({ kind: z.enum(["workspace", "owner"]), id: uuid, requestedAtMs: z.number() }),
  ),
});

/** POST /v1/sessions/revoke — ends the live sessions of a sign-in or a user within a second. */
export const revokeSessions = z.strictObject({ userId: uuid, authSessionId: uuid.optional() });
/** How many live connections, sessions and previews, it ended. */
export const revokeAnswer = z.object({ endedCount: z.number().int().nonnegative() });

export const hostHealth = z.object({
  ok: z.literal(true),
  isolation,
  /** State of the first plan's template; creates of other sizes bake on demand. */
  template: z.enum(["baking", "ready", "failed"]),
  vmm: z.string(),
  workspaceCount: z.number().int(),
  runningCount: z.number().int(),
  /** Machines that a create takes at once. */
  poolReadyCount: z.number().int(),
  /** Processes that wait for the state of a running workspace's fork. */
  forksReadyCount: z.number().int(),
});

/** GET /v1/workspaces; GET /v1/workspaces/:id answers one status. Erased ones stay listed: they are the evidence. */
export const workspaceList = z.object({ workspaces: z.array(workspaceStatus) });

/** GET /v1/events: one JSON status per line, all current ones first, then each change. An empty line every 15 s. */
export const hostEvent = workspaceStatus;
