/**
 * Machines of this host: templates, the pool, encrypted disks in layers, sealed snapshots and checkpoints in one data
 * directory. Longer than most files because it is the one place that orders them: each method is one operation of the
 * port, and what it does lies in the files beside.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import { makeDirectory } from "@atoll/durable/make-directory";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { uuid } from "@atoll/protocol/ids";
import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import type { MachineSize } from "@atoll/protocol/plans";
import { MemoryLedger } from "../checkpoints/captured-memory.ts";
import { infoOfStored, listCheckpoints } from "../checkpoints/checkpoint-listing.ts";
import { requireProof } from "../checkpoints/checkpoint-record.ts";
import { CheckpointStore } from "../checkpoints/checkpoint-store.ts";
import { LocalPoint } from "../checkpoints/local-point.ts";
import type { DiskDirectory } from "../disks/disk-directory.ts";
import { unwrapLayers, wipeLayers, wrapLayers } from "../disks/layer-keys.ts";
import { removeUnfinished, wipeScratch } from "../disks/remove-unfinished.ts";
import type { Machine, MachineStart } from "../hypervisor/hypervisor.ts";
import { MachinePool, type PoolKind } from "../pool/machine-pool.ts";
import {
  findManifests,
  openSnapshot,
  readManifest,
  removeSnapshots,
  requireFit,
  type SnapshotManifest,
  type SnapshotOrigin,
  writeSnapshot,
} from "../snapshots/snapshot-store.ts";
import { SpaceLedger } from "../snapshots/space-ledger.ts";
import { TemplateStore } from "../templates/template-store.ts";
import { BackgroundFlattening } from "./background-flattening.ts";
import { beginFrom, isLoadable, loaded } from "./begin-from.ts";
import { type CaptureContext, type Captured, captureRunning, captureStill } from "./capture-disk.ts";
import { DiskLauncher } from "./disk-launcher.ts";
import { DiskTurns } from "./disk-turns.ts";
import { noteErasure } from "./erasure-note.ts";
import { LayerPins } from "./layer-pins.ts";
import type { LocalMachineSourceOptions } from "./local-machine-source-options.ts";
import type {
  CheckpointFacts,
  CheckpointOwner,
  CreatedMachine,
  MachineRequest,
  MachineSource,
  Point,
  SnapshotRef,
  SpaceReservation,
  WorkspaceDisk,
} from "./machine-source.ts";
import type { OpenDisk } from "./open-disk.ts";
import { openView } from "./view-machine.ts";

/** A refill right after a claim would take a core from the very start that claimed. */
const REFILL_AFTER_MS = 1500;
/** Forks and checkpoints come in bursts, and one of these is half a megabyte and 20 ms of a core. */
const LAYERS_READY_PER_MACHINE = 8;
/** Of sizes that were asked for but are not the warm one. */
const OTHER_SIZES_READY = 1;
const CAPTURED_MEMORY_MAX_BYTES = 4 * 1024 ** 3;
/** A guest changes more until it stands still, and devices come along. */
const SEAL_MARGIN = 1.25;
const SEAL_MARGIN_BYTES = 64 * 1024 * 1024;

type Placed = { machine: Machine; disk: WorkspaceDisk };

export class LocalMachineSource implements MachineSource, AsyncDisposable {
  readonly #options: LocalMachineSourceOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #templates: TemplateStore;
  readonly #disks: DiskLauncher;
  readonly #pool: MachinePool;
  readonly #space: SpaceLedger;
  readonly #turns = new DiskTurns();
  readonly #pins = new LayerPins();
  readonly #flattening = new BackgroundFlattening();
  readonly #capturing: CaptureContext;
  #templateState: MachineSource["templateState"] = "baking";
  #warmTemplateId: string | undefined;
  #cancelRefill = () => {};
  #warming: Promise<void> | undefined;

  constructor(options: LocalMachineSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { dataDirectory, hypervisor, prepareGuest, freeBytes } = options;
    const { signal } = this.#closing;
    const directory = join(dataDirectory, "templates");
    this.#templates = new TemplateStore({ directory, hypervisor, prepareGuest, signal });
    const checkLease = options.checkLease ?? (async () => {});
    const onFault = (error: unknown) => this.#fault(error);
    this.#disks = new DiskLauncher({ ...options, templates: this.#templates, checkLease, onFault, signal });
    this.#pool = new MachinePool({
      make: (kind, how) => this.#disks.make(kind, how),
      discard: (item) => this.#disks.discard(item),
      onFault: (error) => this.#fault(error),
    });
    this.#space = new SpaceLedger({ directory: dataDirectory, ...(freeBytes && { freeBytes }) });
    this.#capturing = {
      launcher: this.#disks,
      memoryLedger: new MemoryLedger(options.capturedMemoryMaxBytes ?? CAPTURED_MEMORY_MAX_BYTES),
      fingerprint: hypervisor.fingerprint,
      clock: this.#clock,
    };
  }

  get readyCount(): number {
    return this.#pool.readyCount;
  }

  get templateState(): MachineSource["templateState"] {
    return this.#templateState;
  }

  async create(request: MachineRequest): Promise<CreatedMachine> {
    const kind = await this.#kindFor(request.image, request.size);
    const item = await this.#pool.claim(kind);
    try {
      request.signal?.throwIfAborted();
      const { commitment } = await this.#options.keys.putWorkspaceKey(request, item.key);
      const { diskId, templateId } = item;
      return {
        machine: item.machine,
        disk: { diskId, imageKey: kind.image.key, templateId, epoch: 1 },
        startsBy: "restore",
        linkToken: item.linkToken,
        keyCommitment: commitment,
      };
    } catch (error) {
      await this.#disks.discard(item);
      throw error;
    } finally {
      item.key.fill(0);
      if (kind.template.templateId !== this.#warmTemplateId) this.#pool.keep(kind, OTHER_SIZES_READY);
      this.#scheduleRefill();
    }
  }

  async boot(
    request: MachineRequest,
    disk: WorkspaceDisk,
  ): Promise<{ machine: Machine; disk: WorkspaceDisk; linkToken: string }> {
    return this.#exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const epoch = await open.directory.raiseEpoch(disk.epoch);
      const machine = await this.#launch(open, request, { kind: "boot" });
      // No snapshot fits the new epoch any more.
      this.#dropSnapshots(open.directory);
      return { machine, disk: { ...disk, epoch }, linkToken: FIRST_LINK_TOKEN };
    });
  }

  async resume(request: MachineRequest, disk: WorkspaceDisk, snapshot: SnapshotRef): Promise<Placed> {
    return this.#exclusively(disk, async () => {
      const { snapshotsPath } = this.#disks.directory(disk.diskId);
      try {
        return await this.#resumeFrom(request, disk, await readManifest(snapshotsPath, snapshot.snapshotId));
      } catch (error) {
        if (!hasCode(error, "snapshot.invalid")) throw error;
        const others = await findManifests(snapshotsPath, disk.epoch);
        const [older] = others.filter(({ snapshotId }) => snapshotId !== snapshot.snapshotId);
        if (older === undefined) throw error;
        this.#fault(error);
        return await this.#resumeFrom(request, disk, older);
      }
    });
  }

  async findSnapshot(workspaceId: string, disk: WorkspaceDisk): Promise<SnapshotRef | undefined> {
    const directory = this.#disks.directory(disk.diskId);
    const epoch = await directory.readEpoch();
    if (epoch !== disk.epoch) return undefined;
    const manifests = await findManifests(directory.snapshotsPath, epoch);
    const manifest = manifests.find((found) => found.workspaceId === workspaceId);
    return manifest && snapshotRef(manifest);
  }

  async reserve(request: MachineRequest, _disk: WorkspaceDisk, machine: Machine): Promise<SpaceReservation> {
    const ramBytes = request.size.memoryMb * 1024 * 1024;
    const changedBytes = await machine.changedBytes();
    return this.#space.reserve(Math.min(changedBytes * SEAL_MARGIN, ramBytes) + SEAL_MARGIN_BYTES);
  }

  async seal(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    return this.#exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const { directory, workspaceKey } = open;
      const { signal } = request;
      await machine.stop(signal);
      const origin = this.#originOf(request, disk, machine.record.templateId);
      const state = machine.saveState(signal);
      const nowMs = this.#clock.now();
      const manifest = await writeSnapshot(directory.snapshotsPath, workspaceKey, origin, state, nowMs);
      try {
        await machine.kill();
      } catch (error) {
        // Whoever hears of a failure may let it run on: then this must not be found.
        await removeSnapshots(directory.snapshotsPath);
        throw error;
      }
      return snapshotRef(manifest);
    });
  }

  async capture(
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine | undefined,
    options: { withMemory: boolean; linkToken: string; letRun: boolean },
  ): Promise<{ disk: WorkspaceDisk; point: Point }> {
    return this.#exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const captured =
        machine === undefined
          ? await captureStill(this.#capturing, request, open, options)
          : await captureRunning(this.#capturing, request, open, machine, options);
      const point = this.#pointOf(request.workspaceId, open, captured);
      this.#scheduleRefill();
      return { disk: { ...disk, epoch: Math.max(disk.epoch, open.record.epoch) }, point };
    });
  }

  async keep(
    request: MachineRequest,
    disk: WorkspaceDisk,
    point: Point,
    facts: CheckpointFacts,
  ): Promise<CheckpointInfo> {
    const { origin, memory } = requireLocal(point);
    const directory = this.#disks.directory(disk.diskId);
    if (origin.directory.diskId !== disk.diskId) throw new TypeError("a point of another disk");
    const store = new CheckpointStore(directory.checkpointsPath);
    const { ownerId, workspaceId } = request;
    const workspaceKey = await this.#options.keys.unwrapWorkspaceKey({ ownerId, workspaceId });
    try {
      let record = await store.read(facts.checkpointId).catch((error: unknown) => {
        if (hasCode(error, "checkpoint.not_found")) return undefined;
        throw error;
      });
      if (record === undefined) {
        using _room = await this.#space.reserve(memory?.sizeBytes ?? 0);
        record = await store.write(workspaceKey, requireLocal(point), facts, this.#clock.now());
      }
      const { checkpointId, parentId } = record;
      await this.#turns.run(disk.diskId, async () => {
        // Unless another one was kept or restored since: then the disk continues from that.
        const present = await directory.read();
        if (present.parentId === parentId) await directory.update({ parentId: checkpointId });
      });
      return await infoOfStored(directory, record);
    } finally {
      workspaceKey.fill(0);
    }
  }

  async openCheckpoint(
    owner: CheckpointOwner,
    checkpointId: string,
    { withMemory = true }: { withMemory?: boolean } = {},
  ): Promise<Point> {
    const { ownerId, workspaceId, disk } = owner;
    const directory = this.#disks.directory(disk.diskId);
    const store = new CheckpointStore(directory.checkpointsPath);
    // Before the key is asked for: what is not there needs none.
    await store.read(checkpointId);
    const workspaceKey = await this.#options.keys.unwrapWorkspaceKey({ ownerId, workspaceId });
    try {
      return await this.#turns.run(disk.diskId, async () => {
        const record = await store.read(checkpointId);
        requireProof(workspaceKey, record);
        const ids = record.layers.map(({ layerId }) => layerId);
        const present = new Set(await directory.layerIds());
        if (record.workspaceId !== workspaceId || !ids.every((layerId) => present.has(layerId))) {
          throw new AtollError("checkpoint.damaged", "a layer of the checkpoint is gone");
        }
        const memory = withMemory ? await store.openMemory(workspaceKey, record) : undefined;
        const { imageKey, templateId, epoch, parentId } = record;
        return new LocalPoint({
          ...{ workspaceId, directory, imageKey, templateId, epoch, parentId, memory, stoppedMs: 0 },
          layers: unwrapLayers(workspaceKey, disk.diskId, record.layers),
          onDispose: this.#pins.add(disk.diskId, ids),
        });
      });
    } finally {
      workspaceKey.fill(0);
    }
  }

  createFrom(request: MachineRequest, point: Point): Promise<CreatedMachine> {
    const { keys, hypervisor } = this.#options;
    const context = {
      launcher: this.#disks,
      keys,
      hypervisor,
      onFault: (error: unknown) => this.#fault(error),
    };
    return beginFrom(context, request, requireLocal(point)).finally(() => this.#scheduleRefill());
  }

  listCheckpoints({ disk }: CheckpointOwner) {
    return listCheckpoints(this.#disks.directory(disk.diskId));
  }

  async deleteCheckpoint({ disk }: CheckpointOwner, checkpointId: string): Promise<void> {
    const directory = this.#disks.directory(disk.diskId);
    const store = new CheckpointStore(directory.checkpointsPath);
    await this.#turns.run(disk.diskId, async () => {
      // Of the older format there is no checkpoint.
      if (!(await directory.isMigrated())) return;
      const record = await store.read(checkpointId).catch(() => undefined);
      const present = await directory.read();
      if (present.parentId === checkpointId || present.sameAs === checkpointId) {
        const parentId = present.parentId === checkpointId ? (record?.parentId ?? null) : present.parentId;
        await directory.update({ parentId, sameAs: null });
      }
      await store.remove(checkpointId);
      await this.#removeUnneeded(directory);
    });
  }

  async restore(request: MachineRequest, disk: WorkspaceDisk, checkpointId: string): Promise<WorkspaceDisk> {
    await using point = requireLocal(
      await this.openCheckpoint({ ...request, disk }, checkpointId, { withMemory: false }),
    );
    // Awaited here: the point is disposed of when this returns.
    return await this.#exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const { directory, template, workspaceKey, record } = open;
      if (record.sameAs === checkpointId) return { ...disk, epoch: Math.max(disk.epoch, record.epoch) };
      const { layers, imageKey, templateId } = point.origin;
      if (imageKey !== record.imageKey || templateId !== record.templateId) {
        throw new AtollError("checkpoint.damaged", "the checkpoint is of another disk");
      }
      const top = await this.#disks.newLayer(directory, template.size.diskMb);
      try {
        await directory.syncLayers();
        const epoch = Math.max(record.epoch, disk.epoch) + 1;
        await directory.update({
          ...{ epoch, isTopEmpty: true, parentId: checkpointId, sameAs: checkpointId },
          layers: wrapLayers(workspaceKey, disk.diskId, [...layers, top]),
        });
        this.#dropSnapshots(directory);
        await this.#removeUnneeded(directory);
        return { ...disk, epoch };
      } finally {
        wipeLayers([top]);
      }
    });
  }

  async resumeCheckpoint(
    request: MachineRequest,
    disk: WorkspaceDisk,
    checkpointId: string,
  ): Promise<Placed & { linkToken: string }> {
    await using point = requireLocal(await this.openCheckpoint({ ...request, disk }, checkpointId));
    // Awaited here: the point is disposed of when this returns.
    return await this.#exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const { memory } = point;
      const isSame = open.record.sameAs === checkpointId && open.record.epoch === disk.epoch;
      if (memory === undefined || !isSame || !isLoadable(point, this.#options.hypervisor, request.size)) {
        throw new AtollError("snapshot.incompatible", "the checkpoint's memory does not fit what is here");
      }
      const template = memory.facts.templateId === null ? undefined : open.template;
      const placed = await this.#load(open, request, disk, template, memory.read());
      return { ...placed, linkToken: memory.facts.linkToken };
    });
  }

  async flatten(
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine | undefined,
  ): Promise<WorkspaceDisk> {
    const directory = this.#disks.directory(disk.diskId);
    if ((await this.#layerCount(directory)) < DISK_LAYERS_FLATTEN) return disk;
    if (machine === undefined) {
      return this.#exclusively(disk, async () => {
        using open = await this.#disks.open(request, disk);
        await this.#flattenStill(open, request.signal);
        return disk;
      });
    }
    const { layers } = await directory.read();
    const top = layers.at(-1);
    // Switching to the newest layer failed once: the next capture does it, and what is below stays until then.
    if ((await machine.topLayerId()) !== top?.layerId) return disk;
    await this.#flattening.run(disk.diskId, request.signal, (signal) => machine.flatten(signal));
    await this.#turns.run(disk.diskId, async () => {
      const now = await directory.read();
      // A capture that came between cut the copying off, or froze this top under another one.
      if (now.layers.at(-1)?.layerId !== top.layerId) return;
      await directory.update({ layers: [top] });
      await this.#removeUnneeded(directory);
    });
    return disk;
  }

  async openView(
    owner: CheckpointOwner,
    checkpointId: string | null,
    signal?: AbortSignal,
  ): Promise<{ machine: Machine; linkToken: string }> {
    const { warm } = this.#options;
    const kind = await this.#kindFor(warm.image, warm.size);
    await using point = requireLocal(
      checkpointId === null
        ? await this.#presentOf(owner)
        : await this.openCheckpoint(owner, checkpointId, { withMemory: false }),
    );
    const onFault = (error: unknown) => this.#fault(error);
    return await openView({ launcher: this.#disks, kind, onFault }, point, signal);
  }

  async archive(request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk> {
    return this.#exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk, { isArchivedFine: true });
      const { directory } = open;
      const epoch = open.record.isArchived
        ? open.record.epoch
        : (await directory.update({ isArchived: true, epoch: Math.max(open.record.epoch, disk.epoch) + 1 }))
            .epoch;
      await removeSnapshots(directory.snapshotsPath);
      // Layers that others have anyway would be copied, not saved.
      if (await this.#isAlone(directory)) await this.#flattenStill(open, request.signal);
      await this.#removeUnneeded(directory);
      return { ...disk, epoch };
    });
  }

  async unarchive(_request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk> {
    return this.#exclusively(disk, async () => {
      const directory = this.#disks.directory(disk.diskId);
      const epoch = await directory.readEpoch();
      if ((await directory.read().catch(() => undefined))?.isArchived) {
        await directory.update({ isArchived: false });
      }
      return { ...disk, epoch: Math.max(disk.epoch, epoch) };
    });
  }

  async destroy(
    workspaceId: string,
    ownerId: string,
    disk: WorkspaceDisk | undefined,
  ): Promise<{ keyDestroyedAtMs: number; dataUnlinkedAtMs: number }> {
    const { destroyedAtMs } = await this.#options.keys.destroyWorkspaceKey({ ownerId, workspaceId });
    if (disk !== undefined) await this.#disks.directory(disk.diskId).remove();
    return noteErasure(this.#erasedPath, workspaceId, {
      keyDestroyedAtMs: destroyedAtMs,
      dataUnlinkedAtMs: this.#clock.now(),
    });
  }

  destroyOwnerKey(ownerId: string): Promise<{ commitment: string | null; destroyedAtMs: number }> {
    return this.#options.keys.destroyOwnerKey(ownerId);
  }

  async sweep(knownDiskIds: ReadonlySet<string>): Promise<void> {
    const { workspacesPath } = this.#disks;
    await makeDirectory(workspacesPath);
    await this.#options.hypervisor.reap();
    await this.#templates.sweep();
    if (this.#warming === undefined) await this.#disks.layers.sweep();
    const kept = new Set([...knownDiskIds, ...this.#pool.diskIds]);
    for (const name of await readdir(workspacesPath)) {
      if (uuid.safeParse(name).success && !kept.has(name)) await this.#disks.directory(name).remove();
    }
    for (const diskId of knownDiskIds) await this.#tidy(diskId);
    await removeUnfinished(this.#erasedPath);
    await wipeScratch(this.#options.scratchDirectory);
    this.#warming ??= this.#warm();
  }

  /** Ends what nobody claimed. Machines of workspaces are their owners' to pause. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelRefill();
    this.#closing.abort(new AtollError("host.draining"));
    await this.#warming;
    await this.#pool[Symbol.asyncDispose]();
    await this.#disks.layers[Symbol.asyncDispose]();
  }

  /** What changes a disk waits for its turn, and a flattening gives way to it. */
  async #exclusively<T>(disk: WorkspaceDisk, work: () => Promise<T>): Promise<T> {
    await this.#flattening.cut(disk.diskId);
    return this.#turns.run(disk.diskId, work);
  }

  async #launch(open: OpenDisk, request: MachineRequest, start: MachineStart): Promise<Machine> {
    const { directory, record } = open;
    await directory.freeze(open.layers.slice(0, -1).map(({ layerId }) => layerId));
    const { diskId } = directory;
    const { size, signal } = request;
    return this.#disks.launch(open.encrypted, { diskId, imageKey: record.imageKey, size, start, signal });
  }

  /** Loaded first: only a state that was taken raises the epoch, and it is raised before a vCPU runs. */
  async #load(
    open: OpenDisk,
    request: MachineRequest,
    disk: WorkspaceDisk,
    template: Extract<MachineStart, { kind: "saved" }>["template"],
    state: AsyncIterable<Uint8Array>,
  ): Promise<Placed> {
    const machine = await this.#launch(open, request, { kind: "saved", template, state });
    await loaded(machine, request.signal);
    try {
      const epoch = await open.directory.raiseEpoch(disk.epoch);
      this.#dropSnapshots(open.directory);
      return { machine, disk: { ...disk, epoch } };
    } catch (error) {
      await machine.kill();
      throw error;
    }
  }

  async #resumeFrom(
    request: MachineRequest,
    disk: WorkspaceDisk,
    manifest: SnapshotManifest,
  ): Promise<Placed> {
    const stored = await this.#disks.directory(disk.diskId).readEpoch();
    if (stored !== disk.epoch) throw new AtollError("snapshot.invalid", "the disk was opened since");
    const templateId = manifest.templateId === null ? null : disk.templateId;
    requireFit(manifest, this.#originOf(request, disk, templateId));
    using open = await this.#disks.open(request, disk);
    await using file = await openSnapshot(open.directory.snapshotsPath, open.workspaceKey, manifest);
    const template = templateId === null ? undefined : open.template;
    return await this.#load(open, request, disk, template, file.read());
  }

  #originOf(request: MachineRequest, disk: WorkspaceDisk, templateId: string | null): SnapshotOrigin {
    return {
      workspaceId: request.workspaceId,
      epoch: disk.epoch,
      fingerprint: this.#options.hypervisor.fingerprint,
      imageKey: disk.imageKey,
      templateId,
      memoryMb: request.size.memoryMb,
    };
  }

  #pointOf(workspaceId: string, { directory, record }: OpenDisk, captured: Captured): LocalPoint {
    const { imageKey, templateId, epoch, parentId } = record;
    const ids = captured.layers.map(({ layerId }) => layerId);
    const onDispose = this.#pins.add(directory.diskId, ids);
    return new LocalPoint({
      ...{ workspaceId, directory, imageKey, templateId, epoch, parentId, onDispose },
      ...captured,
    });
  }

  /** The disk of a workspace without a machine, as it is now. */
  #presentOf(owner: CheckpointOwner): Promise<Point> {
    const { disk, ownerId, workspaceId } = owner;
    const { image, size } = this.#options.warm;
    const options = { withMemory: false, linkToken: FIRST_LINK_TOKEN, letRun: false };
    return this.capture({ ownerId, workspaceId, image, size }, disk, undefined, options).then(
      ({ point }) => point,
    );
  }

  async #flattenStill(open: OpenDisk, signal: AbortSignal | undefined): Promise<void> {
    const { directory, record, layers } = open;
    if (layers.length < 2) return;
    await directory.freeze(layers.slice(0, -1).map(({ layerId }) => layerId));
    await this.#options.hypervisor.flattenDisk(open.encrypted, signal);
    open.record = await directory.update({ layers: record.layers.slice(-1) });
    await this.#removeUnneeded(directory);
  }

  async #layerCount(directory: DiskDirectory): Promise<number> {
    return (await directory.read().catch(() => undefined))?.layers.length ?? 1;
  }

  /** Neither a checkpoint nor another workspace has any of its layers. */
  async #isAlone(directory: DiskDirectory): Promise<boolean> {
    const { records, unreadableIds } = await new CheckpointStore(directory.checkpointsPath).all();
    return records.length + unreadableIds.length === 0 && !(await directory.isShared());
  }

  /** In the disk's turn. A checkpoint that cannot be read may need any layer. */
  async #removeUnneeded(directory: DiskDirectory): Promise<void> {
    const { records, unreadableIds } = await new CheckpointStore(directory.checkpointsPath).all();
    if (unreadableIds.length > 0) return;
    const named = [await directory.read(), ...records].flatMap(({ layers }) => layers);
    const needed = named.map(({ layerId }) => layerId);
    await directory.removeLayersExcept(new Set([...needed, ...this.#pins.of(directory.diskId)]));
  }

  /** What a life that was cut short left in a disk's directory. */
  async #tidy(diskId: string): Promise<void> {
    const directory = this.#disks.directory(diskId);
    try {
      for (const path of [directory.path, directory.snapshotsPath, directory.checkpointsPath]) {
        await removeUnfinished(path);
      }
      // One that was never opened since the older format has nothing to remove.
      if (await directory.isMigrated()) await this.#turns.run(diskId, () => this.#removeUnneeded(directory));
    } catch (error) {
      this.#fault(error);
    }
  }

  get #erasedPath(): string {
    return join(this.#options.dataDirectory, "erased");
  }

  async #warm(): Promise<void> {
    const { warm, poolSize } = this.#options;
    try {
      const kind = await this.#kindFor(warm.image, warm.size);
      this.#templateState = "ready";
      this.#warmTemplateId = kind.template.templateId;
      this.#pool.keep(kind, poolSize);
      this.#pool.refill();
      this.#disks.layers.keep(warm.size.diskMb, poolSize * LAYERS_READY_PER_MACHINE);
      this.#disks.layers.refill();
    } catch (error) {
      this.#templateState = "failed";
      this.#fault(error);
    }
  }

  async #kindFor(imageName: string, size: MachineSize): Promise<PoolKind> {
    const image = await this.#options.images.byName(imageName);
    return { image, template: await this.#templates.provide(image, size) };
  }

  #scheduleRefill(): void {
    this.#cancelRefill();
    this.#cancelRefill = this.#clock.schedule(REFILL_AFTER_MS, () => {
      this.#pool.refill();
      this.#disks.layers.refill();
    });
  }

  /** What closing cut off is no fault. */
  #fault(error: unknown): void {
    if (!this.#closing.signal.aborted) this.#options.onFault(error);
  }

  /** In the background, and in the disk's turn: before anything new is sealed. */
  #dropSnapshots(directory: DiskDirectory): void {
    this.#turns
      .run(directory.diskId, () => removeSnapshots(directory.snapshotsPath))
      .catch((error: unknown) => this.#fault(error));
  }
}

function snapshotRef(manifest: SnapshotManifest): SnapshotRef {
  const { snapshotId, sealedBytes, createdAtMs } = manifest;
  return { snapshotId, sizeBytes: sealedBytes, createdAtMs };
}

function requireLocal(point: Point): LocalPoint {
  if (point instanceof LocalPoint) return point;
  throw new TypeError("a point of another source");
}

function hasCode(error: unknown, code: AtollError["code"]): boolean {
  return error instanceof AtollError && error.code === code;
}
