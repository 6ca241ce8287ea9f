/** Stores points as checkpoints of their workspace, and opens, lists and deletes them. */
import type { Clock } from "@atoll/base/clock";
import type { KeyStore } from "@atoll/keys/key-store";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { infoOfStored, listCheckpoints } from "../checkpoints/checkpoint-listing.ts";
import { requireProof } from "../checkpoints/checkpoint-record.ts";
import { CheckpointStore } from "../checkpoints/checkpoint-store.ts";
import { LocalPoint } from "../checkpoints/local-point.ts";
import { unwrapLayers, wipeLayers } from "../disks/layer-keys.ts";
import type { SpaceLedger } from "../snapshots/space-ledger.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { DiskUpkeep } from "./disk-upkeep.ts";
import type { CheckpointFacts, CheckpointOwner, MachineRequest, WorkspaceDisk } from "./machine-source.ts";

export interface CheckpointKeeperOptions {
  disks: DiskLauncher;
  upkeep: DiskUpkeep;
  keys: KeyStore;
  space: SpaceLedger;
  clock: Clock;
}

export class CheckpointKeeper {
  readonly #options: CheckpointKeeperOptions;

  constructor(options: CheckpointKeeperOptions) {
    this.#options = options;
  }

  async keep(
    request: MachineRequest,
    disk: WorkspaceDisk,
    point: LocalPoint,
    facts: CheckpointFacts,
  ): Promise<CheckpointInfo> {
    const { disks, upkeep, keys, space, clock } = this.#options;
    const directory = disks.directory(disk.diskId);
    if (point.origin.directory.diskId !== disk.diskId) throw new TypeError("a point of another disk");
    const store = new CheckpointStore(directory.checkpointsPath);
    const { ownerId, workspaceId } = request;
    const workspaceKey = await keys.unwrapWorkspaceKey({ ownerId, workspaceId });
    try {
      let record = await store.read(facts.checkpointId).catch((error: unknown) => {
        if (error instanceof AtollError && error.code === "checkpoint.not_found") return undefined;
        throw error;
      });
      if (record === undefined) {
        using _room = await space.reserve(point.memory?.sizeBytes ?? 0);
        record = await store.write(workspaceKey, point, facts, clock.now());
      }
      const { checkpointId, parentId } = record;
      await upkeep.turns.run(disk.diskId, async () => {
        // Unless another one was kept or restored since: then the disk continues from that.
        const present = await directory.read();
        if (present.parentId === parentId) await directory.update({ parentId: checkpointId });
      });
      return await infoOfStored(directory, record);
    } finally {
      workspaceKey.fill(0);
    }
  }

  async open(
    { ownerId, workspaceId, disk }: CheckpointOwner,
    checkpointId: string,
    { withMemory = true, isForMany = false }: { withMemory?: boolean; isForMany?: boolean } = {},
  ): Promise<LocalPoint> {
    const { disks, upkeep, keys } = this.#options;
    const directory = disks.directory(disk.diskId);
    const store = new CheckpointStore(directory.checkpointsPath);
    // Before the key is asked for: what is not there needs none.
    await store.read(checkpointId);
    const workspaceKey = await keys.unwrapWorkspaceKey({ ownerId, workspaceId });
    try {
      return await upkeep.turns.run(disk.diskId, async () => {
        const record = await store.read(checkpointId);
        requireProof(workspaceKey, record);
        const ids = record.layers.map(({ layerId }) => layerId);
        const present = new Set(await directory.layerIds());
        if (record.workspaceId !== workspaceId || !ids.every((layerId) => present.has(layerId))) {
          throw new AtollError("checkpoint.damaged", "a layer of the checkpoint is gone");
        }
        const layers = unwrapLayers(workspaceKey, disk.diskId, record.layers);
        try {
          const memory = withMemory ? await store.openMemory(workspaceKey, record) : undefined;
          const { imageKey, templateId, epoch, parentId } = record;
          return new LocalPoint({
            ...{ workspaceId, directory, layers, imageKey, templateId, epoch, parentId, memory },
            ...{ isForMany, stoppedMs: 0, onDispose: upkeep.pins.add(disk.diskId, ids) },
          });
        } catch (error) {
          wipeLayers(layers);
          throw error;
        }
      });
    } finally {
      workspaceKey.fill(0);
    }
  }

  list({ disk }: CheckpointOwner) {
    return listCheckpoints(this.#options.disks.directory(disk.diskId));
  }

  async delete({ disk }: CheckpointOwner, checkpointId: string): Promise<void> {
    const { disks, upkeep } = this.#options;
    const directory = disks.directory(disk.diskId);
    const store = new CheckpointStore(directory.checkpointsPath);
    await upkeep.turns.run(disk.diskId, async () => {
      // Of the older format there is no checkpoint.
      if (!(await directory.isMigrated())) return;
      const record = await store.read(checkpointId).catch(() => undefined);
      const present = await directory.read();
      if (present.parentId === checkpointId || present.sameAs === checkpointId) {
        const parentId = present.parentId === checkpointId ? (record?.parentId ?? null) : present.parentId;
        await directory.update({ parentId, sameAs: null });
      }
      await store.remove(checkpointId);
      await upkeep.removeUnneeded(directory);
    });
  }
}
