import { areSameProof, keyedProof } from "@atoll/keys/keyed-proof";
import { wrappedKey } from "@atoll/keys/wrap-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { checkpointKind } from "@atoll/protocol/hostd-api";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { layerRecord } from "../disks/disk-record.ts";
import { sealedFacts } from "../snapshots/sealed-file.ts";

export const checkpointRecord = z.strictObject({
  format: z.literal(1),
  checkpointId: uuid,
  workspaceId: uuid,
  diskId: uuid,
  name: z.string(),
  kind: checkpointKind,
  createdAtMs: z.number(),
  parentId: uuid.nullable(),
  /** Of the disk when it was captured. */
  epoch: z.number().int().nonnegative(),
  imageKey: z.string(),
  templateId: z.string(),
  /** Bottom first; what lies above them is not part of it. */
  layers: z.array(layerRecord).min(1),
  memory: z
    .strictObject({
      fingerprint: z.string(),
      templateId: z.string().nullable(),
      cpus: z.number().int().positive(),
      memoryMb: z.number().int().positive(),
      /** What the guest expects, wrapped under the workspace's key. */
      linkToken: wrappedKey,
      ...sealedFacts,
    })
    .nullable(),
  /** HMAC over all but name and parent, under the workspace's key; hex. */
  proof: z.string().regex(/^[0-9a-f]{64}$/),
});
export type CheckpointRecord = z.infer<typeof checkpointRecord>;

/** Layers cannot be left out, put in another order or taken from elsewhere without being noticed. */
export function proveCheckpoint(
  workspaceKey: Uint8Array,
  record: Omit<CheckpointRecord, "proof">,
): CheckpointRecord {
  return { ...record, proof: proofOf(workspaceKey, record) };
}

/** @throws AtollError checkpoint.damaged */
export function requireProof(workspaceKey: Uint8Array, record: CheckpointRecord): void {
  if (areSameProof(record.proof, proofOf(workspaceKey, record))) return;
  throw new AtollError("checkpoint.damaged", "the checkpoint is not what was stored");
}

function proofOf(workspaceKey: Uint8Array, record: Omit<CheckpointRecord, "proof">): string {
  // Through the schema, so that the order of keys is always the same.
  const {
    name: _name,
    parentId: _parentId,
    proof: _proof,
    ...proven
  } = checkpointRecord.parse({
    ...record,
    proof: "0".repeat(64),
  });
  return keyedProof(workspaceKey, "checkpoint-seal", JSON.stringify(proven));
}
