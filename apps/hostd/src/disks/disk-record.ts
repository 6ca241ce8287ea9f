import { wrappedKey } from "@atoll/keys/wrap-key";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";

/** A layer as it is written down: its key wrapped under its workspace's. */
export const layerRecord = z.strictObject({ layerId: uuid, key: wrappedKey });
export type LayerRecord = z.infer<typeof layerRecord>;

const diskFacts = {
  /** Raised, durably, before every writable open. */
  epoch: z.number().int().nonnegative(),
  imageKey: z.string(),
  templateId: z.string(),
};

/** One file, `disk.qcow2`, under a key derived from the workspace's. */
export const firstDiskRecord = z.strictObject({ format: z.literal(1), ...diskFacts });

export const diskRecord = z.strictObject({
  format: z.literal(2),
  ...diskFacts,
  /** Bottom first. Only the last is written. */
  layers: z.array(layerRecord).min(1),
  /** Nobody opened the last layer for writing yet: the disk is what the layers below it hold. */
  isTopEmpty: z.boolean(),
  /** The checkpoint that the disk continues from. */
  parentId: uuid.nullable(),
  /** The checkpoint whose content this is, as long as nothing was written since it was restored. */
  sameAs: uuid.nullable(),
  isArchived: z.boolean(),
});
export type DiskRecord = z.infer<typeof diskRecord>;

export const anyDiskRecord = z.discriminatedUnion("format", [firstDiskRecord, diskRecord]);
