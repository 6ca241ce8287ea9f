import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CheckpointInfo, checkpointList } from "@atoll/protocol/hostd-api";
import type { z } from "zod";
import type { DiskDirectory } from "../disks/disk-directory.ts";
import type { CheckpointRecord } from "./checkpoint-record.ts";
import { CheckpointStore } from "./checkpoint-store.ts";

const BLOCK_BYTES = 512;

/** The timeline of a disk and what it takes on this host, each layer's space shared among the workspaces that have it. */
export async function listCheckpoints(directory: DiskDirectory): Promise<z.infer<typeof checkpointList>> {
  const store = new CheckpointStore(directory.checkpointsPath);
  const [records, disk] = await Promise.all([store.list(), directory.read().catch(() => undefined)]);
  const files = await layerFiles(directory);
  const layerBytes = [...files.values()].reduce((sum, { bytes, linkCount }) => sum + bytes / linkCount, 0);
  const checkpoints: CheckpointInfo[] = [];
  for (const record of records) {
    const others = [disk, ...records.filter((other) => other !== record)];
    const needed = new Set(others.flatMap((other) => other?.layers.map(({ layerId }) => layerId) ?? []));
    const own = record.layers.map(({ layerId }) => (needed.has(layerId) ? undefined : files.get(layerId)));
    const ownLayerBytes = own.reduce((sum, file) => sum + (file?.linkCount === 1 ? file.bytes : 0), 0);
    checkpoints.push(infoOf(record, ownLayerBytes + (await store.sealedBytes(record))));
  }
  return {
    checkpoints,
    currentParentId: disk?.parentId ?? null,
    usage: {
      layerBytes: Math.round(layerBytes),
      snapshotBytes:
        (await sealedBytesIn(directory.snapshotsPath)) +
        (await sealedBytesIn(directory.checkpointsPath)) +
        (await sharedBytes(directory.memoryBasePath)),
      layerCount: disk?.layers.length ?? files.size,
    },
  };
}

export async function infoOfStored(
  directory: DiskDirectory,
  record: CheckpointRecord,
): Promise<CheckpointInfo> {
  const { checkpoints } = await listCheckpoints(directory);
  return checkpoints.find(({ checkpointId }) => checkpointId === record.checkpointId) ?? infoOf(record, 0);
}

function infoOf(record: CheckpointRecord, ownBytes: number): CheckpointInfo {
  const { checkpointId, name, kind, createdAtMs, parentId, memory } = record;
  return { checkpointId, name, kind, createdAtMs, parentId, hasMemory: memory !== null, ownBytes };
}

async function layerFiles(
  directory: DiskDirectory,
): Promise<Map<string, { bytes: number; linkCount: number }>> {
  const files = new Map<string, { bytes: number; linkCount: number }>();
  for (const layerId of await directory.layerIds()) {
    const file = await stat(directory.layerPath(layerId)).catch(() => undefined);
    // Removed since it was listed.
    if (file !== undefined) files.set(layerId, { bytes: file.blocks * BLOCK_BYTES, linkCount: file.nlink });
  }
  return files;
}

/** Of a file, if it is there. */
async function sharedBytes(path: string): Promise<number> {
  const file = await stat(path).catch(() => undefined);
  return file === undefined ? 0 : Math.round((file.blocks * BLOCK_BYTES) / file.nlink);
}

async function sealedBytesIn(path: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(path).catch(() => [])) {
    if (!name.endsWith(".sealed")) continue;
    const file = await stat(join(path, name)).catch(() => undefined);
    bytes += (file?.blocks ?? 0) * BLOCK_BYTES;
  }
  return bytes;
}
