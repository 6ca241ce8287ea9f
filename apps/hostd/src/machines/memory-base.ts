/** The memory of a made template that a workspace's own may be a difference to, as the workspace keeps it. */
import { AtollError } from "@atoll/protocol/atoll-error";
import type { LocalPoint, SharedMemory } from "../checkpoints/local-point.ts";
import { linkPresent } from "../disks/link-present.ts";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { ReadOptions } from "../snapshots/seal.ts";
import { SealedFile } from "../snapshots/sealed-file.ts";
import type { OpenDisk } from "./open-disk.ts";

/** What those who begin at this point share: its own memory if they are many, or what that is a difference to. */
export function sharedMemory({ isForMany, memory, origin }: LocalPoint): SharedMemory | undefined {
  if (memory?.over !== undefined) return memory.over.base;
  // What differs from a baked template is small, and shares that.
  if (!isForMany || memory?.stored === undefined || memory.facts.templateId !== null) return undefined;
  const { stored, facts, sizeBytes } = memory;
  const read = (options?: ReadOptions) => memory.read(options);
  return { ...stored, directory: origin.directory, memoryMb: facts.memoryMb, sizeBytes, read };
}

export interface MemoryBase extends SharedMemory, AsyncDisposable {}

/** Names the stored memory that this machine's is a difference to, if it is that one. */
export function baseUnder(
  { record: { baseId } }: Machine,
  { memoryBase }: { memoryBase: { baseId: string } | null },
): string | undefined {
  return memoryBase !== null && memoryBase.baseId === baseId ? memoryBase.baseId : undefined;
}

/** @throws AtollError snapshot.invalid when it is gone, or another one than `baseId` */
export async function openMemoryBase(
  { directory, record, workspaceKey }: OpenDisk,
  baseId: string,
): Promise<MemoryBase> {
  const { memoryBase } = record;
  if (memoryBase?.baseId !== baseId) throw baseGone();
  const { workspaceId, epoch, memoryMb, plainBytes } = memoryBase;
  const context = { workspaceId, snapshotId: baseId, epoch };
  const file = await SealedFile.open(directory.memoryBasePath, workspaceKey, context, memoryBase);
  return {
    ...{ baseId, directory, memoryMb, sizeBytes: plainBytes },
    read: (options) => file.read(options),
    recordUnder: (otherKey) => ({ ...memoryBase, key: file.keyUnder(otherKey) }),
    link: (path) => linkPresent(directory.memoryBasePath, path, baseGone),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

const baseGone = (cause?: unknown) =>
  new AtollError("snapshot.invalid", "the memory that it differs from is gone", { cause });
