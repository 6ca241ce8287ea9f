/** Memory of workspaces that sleep: sealed, found, brought back, dropped. */
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Hypervisor, Machine } from "../hypervisor/hypervisor.ts";
import {
  findManifests,
  openSnapshot,
  readManifest,
  removeSnapshots,
  requireFit,
  type SnapshotManifest,
  writeSnapshot,
} from "../snapshots/snapshot-store.ts";
import { type SpaceLedger, sealedMaxBytes } from "../snapshots/space-ledger.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { DiskUpkeep } from "./disk-upkeep.ts";
import { hasCode } from "./has-code.ts";
import { loadDisk } from "./launch-disk.ts";
import type { MachineRequest, SnapshotRef, SpaceReservation, WorkspaceDisk } from "./machine-source.ts";
import { baseUnder, openMemoryBase } from "./memory-base.ts";
import { fingerprintOf, snapshotOrigin, snapshotRef } from "./snapshot-facts.ts";
import type { UnpackedMemories } from "./unpacked-memories.ts";

export interface SealedMachinesOptions {
  disks: DiskLauncher;
  upkeep: DiskUpkeep;
  space: SpaceLedger;
  unpacked: Pick<UnpackedMemories, "lend">;
  hypervisor: Pick<Hypervisor, "fingerprint" | "joinStates">;
  clock: Clock;
  onFault: (error: unknown) => void;
}

type Placed = { machine: Machine; disk: WorkspaceDisk };

export class SealedMachines {
  readonly #options: SealedMachinesOptions;

  constructor(options: SealedMachinesOptions) {
    this.#options = options;
  }

  async reserve(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SpaceReservation> {
    const { disks, upkeep, space } = this.#options;
    const directory = disks.directory(disk.diskId);
    // Committed by a sealing that was left behind: older than what runs now, and of the same epoch.
    await upkeep.turns.run(disk.diskId, () => removeSnapshots(directory.snapshotsPath));
    // A disk of the older format has no machine over a base, and is not read here.
    const isOverBase =
      machine.record.baseId !== null && baseUnder(machine, await directory.read()) !== undefined;
    return space.reserve(sealedMaxBytes(await machine.changedBytes({ isOverBase }), request.size.memoryMb));
  }

  seal(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    const { disks, upkeep, hypervisor, clock } = this.#options;
    return upkeep.exclusively(disk, async () => {
      using open = await disks.open(request, disk);
      const { directory, workspaceKey, record } = open;
      const { signal } = request;
      await machine.stop(signal);
      const baseId = baseUnder(machine, record);
      const under = { templateId: machine.record.templateId, baseId };
      const origin = snapshotOrigin(fingerprintOf(machine, hypervisor), request, disk, under);
      const state = machine.saveState({ signal, isOverBase: baseId !== undefined });
      const manifest = await writeSnapshot(directory.snapshotsPath, workspaceKey, origin, state, clock.now());
      try {
        // Whoever gave up waiting may have let the machine run on.
        signal?.throwIfAborted();
        await machine.kill();
      } catch (error) {
        // Whoever hears of a failure may let it run on: then this must not be found.
        await removeSnapshots(directory.snapshotsPath);
        throw error;
      }
      return snapshotRef(manifest);
    });
  }

  resume(request: MachineRequest, disk: WorkspaceDisk, snapshot: SnapshotRef): Promise<Placed> {
    const { disks, upkeep, onFault } = this.#options;
    return upkeep.exclusively(disk, async () => {
      const { snapshotsPath } = disks.directory(disk.diskId);
      try {
        return await this.#resumeFrom(request, disk, await readManifest(snapshotsPath, snapshot.snapshotId));
      } catch (error) {
        if (!hasCode(error, "snapshot.invalid")) throw error;
        const others = await findManifests(snapshotsPath, disk.epoch);
        const [older] = others.filter(({ snapshotId }) => snapshotId !== snapshot.snapshotId);
        if (older === undefined) throw error;
        onFault(error);
        return await this.#resumeFrom(request, disk, older);
      }
    });
  }

  async find(workspaceId: string, disk: WorkspaceDisk): Promise<SnapshotRef | undefined> {
    const directory = this.#options.disks.directory(disk.diskId);
    const epoch = await directory.readEpoch();
    if (epoch !== disk.epoch) return undefined;
    const manifests = await findManifests(directory.snapshotsPath, epoch);
    const manifest = manifests.find((found) => found.workspaceId === workspaceId);
    return manifest && snapshotRef(manifest);
  }

  /** Nobody resumes it, and no machine runs. */
  drop({ diskId }: WorkspaceDisk): Promise<void> {
    const { disks, upkeep } = this.#options;
    return upkeep.turns.run(diskId, () => upkeep.dropMemory(disks.directory(diskId)));
  }

  /** In the background, and in the disk's turn: before anything new is sealed. */
  removeSoon(diskId: string): void {
    const { disks, upkeep, onFault } = this.#options;
    const { snapshotsPath } = disks.directory(diskId);
    upkeep.turns.run(diskId, () => removeSnapshots(snapshotsPath)).catch(onFault);
  }

  async #resumeFrom(
    request: MachineRequest,
    disk: WorkspaceDisk,
    manifest: SnapshotManifest,
  ): Promise<Placed> {
    const { disks, hypervisor, unpacked } = this.#options;
    const stored = await disks.directory(disk.diskId).readEpoch();
    if (stored !== disk.epoch) throw new AtollError("snapshot.invalid", "the disk was opened since");
    const templateId = manifest.templateId === null ? null : disk.templateId;
    const { baseId } = manifest;
    requireFit(manifest, snapshotOrigin(hypervisor.fingerprint, request, disk, { templateId, baseId }));
    using open = await disks.open(request, disk);
    await using file = await openSnapshot(open.directory.snapshotsPath, open.workspaceKey, manifest);
    const template = templateId === null ? undefined : open.template;
    await using base = baseId === undefined ? undefined : await openMemoryBase(open, baseId);
    await using lent = base && (await unpacked.lend(base, request.signal));
    const own = file.read({ lends: true });
    const isWhole = base !== undefined && lent === undefined;
    const state = isWhole ? hypervisor.joinStates(base.read({ lends: true }), own) : own;
    const start = { kind: "saved", template, base: lent?.state, state } as const;
    const placed = await loadDisk(disks, open, request, disk, start);
    this.removeSoon(disk.diskId);
    return placed;
  }
}
