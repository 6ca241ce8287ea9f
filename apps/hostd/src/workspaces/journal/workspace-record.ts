import { uuid, workspaceSlug } from "@atoll/protocol/ids";
import { LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { stateReason, workspaceState } from "@atoll/protocol/workspace-status";
import { z } from "zod";

const machineRecord = z.strictObject({
  machineId: z.string(),
  runDirectory: z.string(),
  pid: z.number().int().positive(),
  startTicks: z.string(),
  hostBootId: z.string(),
  uid: z.number().int().nonnegative(),
  templateId: z.string().nullable(),
  baseRamPath: z.string(),
});

/** The journal's truth about one workspace. Written whole at each change that must survive a crash. */
export const workspaceRecord = z.strictObject({
  format: z.literal(1),
  workspaceId: uuid,
  ownerId: uuid,
  slug: workspaceSlug,
  image: z.string(),
  size: z.strictObject({ cpus: z.number(), memoryMb: z.number(), diskMb: z.number() }),
  egress: egressPreset,
  idlePauseSeconds: z.number().int().positive(),
  state: workspaceState,
  reason: stateReason,
  sinceMs: z.number(),
  generation: z.number().int().nonnegative(),
  errorCode: z.string().nullable(),
  startedBy: z.enum(["create", "resume", "boot"]).nullable(),
  /** Null until the first create got one. */
  disk: z
    .strictObject({
      diskId: z.string(),
      imageKey: z.string(),
      templateId: z.string(),
      epoch: z.number().int().nonnegative(),
    })
    .nullable(),
  snapshot: z
    .strictObject({ snapshotId: z.string(), sizeBytes: z.number(), createdAtMs: z.number() })
    .nullable(),
  machine: machineRecord.nullable(),
  /** The workspace's own; the agent waits for it after its first handshake and keeps it over pause and resume. */
  linkToken: z.string().regex(new RegExp(`^[0-9a-f]{${LINK_TOKEN_BYTES * 2}}$`)),
  keyCommitment: z.string().nullable(),
  /** Once set the workspace only goes towards `erased`. */
  tombstone: z
    .strictObject({
      requestedAtMs: z.number(),
      keyDestroyedAtMs: z.number().nullable(),
      dataUnlinkedAtMs: z.number().nullable(),
    })
    .nullable(),
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
