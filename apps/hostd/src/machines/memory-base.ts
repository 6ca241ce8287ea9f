/** The memory of a made template that a workspace's own may be a difference to, as the workspace keeps it. */
import { AtollError } from "@atoll/protocol/atoll-error";
import type { LocalPoint, StoredMemory } from "../checkpoints/local-point.ts";
import type { ReadOptions } from "../snapshots/seal.ts";
import { SealedFile } from "../snapshots/sealed-file.ts";
import type { OpenDisk } from "./open-disk.ts";
import type { UnpackableMemory } from "./unpacked-memories.ts";

export interface SharedMemory extends UnpackableMemory, Pick<StoredMemory, "link" | "recordUnder"> {}

/** Of a point that others will begin at as well. What differs from a baked template is small, and shares that. */
export function sharedMemory({ isForMany, memory, origin }: LocalPoint): SharedMemory | undefined {
  if (!isForMany || memory?.stored === undefined || memory.facts.templateId !== null) return undefined;
  const { stored, facts, sizeBytes } = memory;
  const read = (options?: ReadOptions) => memory.read(options);
  return { ...stored, directory: origin.directory, memoryMb: facts.memoryMb, sizeBytes, read };
}

export interface MemoryBase extends UnpackableMemory, AsyncDisposable {}

/** @throws AtollError snapshot.invalid when it is gone, or another one than `baseId` */
export async function openMemoryBase(
  { directory, record, workspaceKey }: OpenDisk,
  baseId: string,
): Promise<MemoryBase> {
  const { memoryBase } = record;
  if (memoryBase?.baseId !== baseId)
    throw new AtollError("snapshot.invalid", "the memory that it differs from is gone");
  const { workspaceId, epoch, memoryMb, plainBytes } = memoryBase;
  const context = { workspaceId, snapshotId: baseId, epoch };
  const file = await SealedFile.open(directory.memoryBasePath, workspaceKey, context, memoryBase);
  return {
    ...{ baseId, directory, memoryMb, sizeBytes: plainBytes },
    read: (options) => file.read(options),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}
