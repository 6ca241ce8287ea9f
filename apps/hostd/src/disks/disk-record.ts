import { wrappedKey } from "@atoll/keys/wrap-key";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { sealedFacts } from "../snapshots/sealed-file.ts";

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

/** A made template's sealed memory, in a file that others who began from it have as well. */
export const memoryBaseRecord = z.strictObject({
  /** The template's checkpoint. With the next two it is what the memory was sealed for. */
  baseId: uuid,
  workspaceId: uuid,
  epoch: z.number().int().nonnegative(),
  memoryMb: z.number().int().positive(),
  ...sealedFacts,
});
export type MemoryBaseRecord = z.infer<typeof memoryBaseRecord>;

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
  /** What the machine's memory, running or sealed, may be a difference to. */
  memoryBase: memoryBaseRecord.nullable().default(null),
});
export type DiskRecord = z.infer<typeof diskRecord>;

export const anyDiskRecord = z.discriminatedUnion("format", [firstDiskRecord, diskRecord]);
