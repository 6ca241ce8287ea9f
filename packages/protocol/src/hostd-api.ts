/** hostd's HTTP API for the control plane, JSON over its Unix socket. Unknown keys are refused: a caller with a typo must hear of it. */
import * as z from "zod";
import { uuid, workspaceSlug } from "./ids.ts";
import { egressPreset } from "./messages/egress.ts";
import { isolation, workspaceStatus } from "./workspace-status.ts";

/** PUT /v1/workspaces/:id — creates and starts. Repeating it with the same body answers the same workspace. */
export const createWorkspace = z.strictObject({
  ownerId: uuid,
  slug: workspaceSlug,
  image: z.string().regex(/^[a-z0-9-]{1,32}$/),
  cpus: z.number().int().min(1).max(64),
  memoryMb: z.number().int().min(128).max(262_144),
  diskMb: z.number().int().min(512).max(1_048_576),
  egress: egressPreset,
  /** Pause this long after the last session closed. */
  idlePauseSeconds: z.number().int().min(1).max(604_800),
});
export type CreateWorkspace = z.infer<typeof createWorkspace>;

/** PATCH /v1/workspaces/:id — takes effect at once. */
export const updateWorkspace = z.strictObject({
  egress: egressPreset.optional(),
  idlePauseSeconds: z.number().int().min(1).max(604_800).optional(),
});

/** POST /v1/workspaces/:id/{pause,resume,stop}. Answers when done with the status; `generation` guards against stale callers. */
export const lifecycleCommand = z.strictObject({ generation: z.number().int().nonnegative().optional() });

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
  poolReadyCount: z.number().int(),
});

/** GET /v1/workspaces; GET /v1/workspaces/:id answers one status. Erased ones stay listed: they are the evidence. */
export const workspaceList = z.object({ workspaces: z.array(workspaceStatus) });

/** GET /v1/events: one JSON status per line, all current ones first, then each change. An empty line every 15 s. */
export const hostEvent = workspaceStatus;
