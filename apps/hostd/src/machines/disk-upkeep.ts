/** Keeps disks small: fewer layers, none that nobody needs, an archived one in its smallest form. */
import { Turns } from "@atoll/base/turns";
import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { CheckpointStore } from "../checkpoints/checkpoint-store.ts";
import type { DiskDirectory } from "../disks/disk-directory.ts";
import { removeUnfinished } from "../disks/remove-unfinished.ts";
import type { Hypervisor, Machine } from "../hypervisor/hypervisor.ts";
import { removeSnapshots } from "../snapshots/snapshot-store.ts";
import { BackgroundFlattening } from "./background-flattening.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import { LayerPins } from "./layer-pins.ts";
import type { MachineRequest, WorkspaceDisk } from "./machine-source.ts";
import type { OpenDisk } from "./open-disk.ts";

export interface DiskUpkeepOptions {
  disks: DiskLauncher;
  hypervisor: Hypervisor;
}

export class DiskUpkeep {
  readonly #disks: DiskLauncher;
  readonly #hypervisor: Hypervisor;
  readonly #flattening = new BackgroundFlattening();
  /** Of disks: one change at a time. */
  readonly turns = new Turns();
  readonly pins = new LayerPins();

  constructor({ disks, hypervisor }: DiskUpkeepOptions) {
    this.#disks = disks;
    this.#hypervisor = hypervisor;
  }

  /** What changes a disk waits for its turn, and a flattening gives way to it. */
  async exclusively<T>({ diskId }: WorkspaceDisk, work: () => Promise<T>): Promise<T> {
    await this.#flattening.cut(diskId);
    return this.turns.run(diskId, work);
  }

  async flatten(
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine | undefined,
  ): Promise<WorkspaceDisk> {
    const { diskId } = disk;
    const directory = this.#disks.directory(diskId);
    // One of the older format has a single layer.
    if (!(await directory.isMigrated())) return disk;
    const { layers } = await directory.read();
    const top = layers.at(-1);
    if (layers.length < DISK_LAYERS_FLATTEN || top === undefined) return disk;
    if (machine === undefined) {
      return this.exclusively(disk, async () => {
        using open = await this.#disks.open(request, disk);
        await this.#flattenStill(open, request.signal);
        return disk;
      });
    }
    // Switching to the newest layer failed once: the next capture does it, and what is below stays until then.
    if ((await machine.topLayerId()) !== top.layerId) return disk;
    await this.#flattening.run(diskId, request.signal, (signal) => machine.flatten(signal));
    await this.turns.run(diskId, async () => {
      // A capture that came between froze this top under another one.
      if ((await directory.read()).layers.at(-1)?.layerId !== top.layerId) return;
      await directory.update({ layers: [top] });
      await this.removeUnneeded(directory);
    });
    return disk;
  }

  archive(request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk> {
    return this.exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk, { isArchivedFine: true });
      const { directory } = open;
      if (!open.record.isArchived) {
        const epoch = Math.max(open.record.epoch, disk.epoch) + 1;
        open.record = await directory.update({ isArchived: true, epoch });
      }
      const { epoch } = open.record;
      await this.dropMemory(directory);
      // Layers that others have anyway would be copied, not saved.
      if (await this.#isAlone(directory)) await this.#flattenStill(open, request.signal);
      await this.removeUnneeded(directory);
      return { ...disk, epoch };
    });
  }

  unarchive(disk: WorkspaceDisk): Promise<WorkspaceDisk> {
    return this.exclusively(disk, async () => {
      const directory = this.#disks.directory(disk.diskId);
      const epoch = await directory.readEpoch();
      const isArchived = (await directory.isMigrated()) && (await directory.read()).isArchived;
      if (isArchived) await directory.update({ isArchived: false });
      return { ...disk, epoch: Math.max(disk.epoch, epoch) };
    });
  }

  /** In the disk's turn: what is sealed of a machine that nobody brings back, and of one that runs nothing. */
  async dropMemory(directory: DiskDirectory): Promise<void> {
    await removeSnapshots(directory.snapshotsPath);
    if (await directory.isMigrated()) await directory.dropMemoryBase();
  }

  /** In the disk's turn. A checkpoint that cannot be read may need any layer. */
  async removeUnneeded(directory: DiskDirectory): Promise<void> {
    const { records, unreadableIds } = await new CheckpointStore(directory.checkpointsPath).all();
    if (unreadableIds.length > 0) return;
    const named = [await directory.read(), ...records].flatMap(({ layers }) => layers);
    const needed = named.map(({ layerId }) => layerId);
    await directory.removeLayersExcept(new Set([...needed, ...this.pins.of(directory.diskId)]));
  }

  /** What a life that was cut short left in a disk's directory. */
  async tidy(diskId: string): Promise<void> {
    const directory = this.#disks.directory(diskId);
    for (const path of [directory.path, directory.snapshotsPath, directory.checkpointsPath]) {
      await removeUnfinished(path);
    }
    // One that was never opened since the older format has nothing to remove.
    if (!(await directory.isMigrated())) return;
    await this.turns.run(diskId, async () => {
      await this.removeUnneeded(directory);
      if ((await directory.read()).memoryBase === null) await directory.dropMemoryBase();
    });
  }

  async #flattenStill(open: OpenDisk, signal: AbortSignal | undefined): Promise<void> {
    const { directory, record, layers } = open;
    if (layers.length < 2) return;
    await directory.freeze(layers.slice(0, -1).map(({ layerId }) => layerId));
    await this.#flattening.run(directory.diskId, signal, (cut) =>
      this.#hypervisor.flattenDisk(open.encrypted, cut),
    );
    open.record = await directory.update({ layers: record.layers.slice(-1) });
    await this.removeUnneeded(directory);
  }

  /** Neither a checkpoint nor another workspace has any of its layers. */
  async #isAlone(directory: DiskDirectory): Promise<boolean> {
    const { records, unreadableIds } = await new CheckpointStore(directory.checkpointsPath).all();
    return records.length + unreadableIds.length === 0 && !(await directory.isShared());
  }
}
