/**
 * Machines of this host: templates, the pool, encrypted disks in layers, sealed snapshots and checkpoints in one data
 * directory.
 * Length: it is the one place that orders them; each method is one operation of the port, what it does lies beside.
 */
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { MemoryLedger } from "../checkpoints/captured-memory.ts";
import { LocalPoint, requireLocal } from "../checkpoints/local-point.ts";
import { copyLayers } from "../disks/layer-keys.ts";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { ReadyMachines } from "../pool/ready-machines.ts";
import { SpaceLedger } from "../snapshots/space-ledger.ts";
import { TemplateStore } from "../templates/template-store.ts";
import { beginFrom, isLoadable } from "./begin-from.ts";
import { bootOver } from "./boot-over.ts";
import { type CaptureContext, type Captured, captureRunning, captureStill } from "./capture-disk.ts";
import { CheckpointKeeper } from "./checkpoint-keeper.ts";
import { DiskLauncher } from "./disk-launcher.ts";
import { DiskUpkeep } from "./disk-upkeep.ts";
import { noteErasure } from "./erasure-note.ts";
import { hasCode } from "./has-code.ts";
import { launchDisk, loadDisk } from "./launch-disk.ts";
import type { LocalMachineSourceOptions } from "./local-machine-source-options.ts";
import type {
  CheckpointFacts,
  CheckpointOwner,
  CreatedMachine,
  DestroyedWorkspace,
  ForkOrigin,
  MachineRequest,
  MachineSource,
  Point,
  PreparedFork,
  SnapshotRef,
  SpaceReservation,
  WorkspaceDisk,
} from "./machine-source.ts";
import type { OpenDisk } from "./open-disk.ts";
import { LocalPreparedFork } from "./prepare-fork.ts";
import { restoreDisk } from "./restore-disk.ts";
import { SealedMachines } from "./sealed-machines.ts";
import { NO_STRAYS, type StrayDisks, sweepData } from "./sweep-data.ts";
import { UnpackedMemories } from "./unpacked-memories.ts";
import { openView } from "./view-machine.ts";

const CAPTURED_MEMORY_MAX_BYTES = 4 * 1024 ** 3;
/** Of whoever only looks. */
const TEMPLATE_TIMEOUT_MS = 600_000;

type Placed = { machine: Machine; disk: WorkspaceDisk };

export class LocalMachineSource implements MachineSource, AsyncDisposable {
  readonly #options: LocalMachineSourceOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #templates: TemplateStore;
  readonly #disks: DiskLauncher;
  readonly #ready: ReadyMachines;
  readonly #space: SpaceLedger;
  readonly #upkeep: DiskUpkeep;
  readonly #checkpoints: CheckpointKeeper;
  readonly #capturing: CaptureContext;
  readonly #unpacked: UnpackedMemories;
  readonly #sealed: SealedMachines;

  constructor(options: LocalMachineSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { dataDirectory, hypervisor, keys, prepareGuest, freeBytes } = options;
    const { sharedTemplatesDirectory: sharedDirectory } = options;
    const { signal } = this.#closing;
    const directory = join(dataDirectory, "templates");
    this.#templates = new TemplateStore({ directory, sharedDirectory, hypervisor, prepareGuest, signal });
    const { checkLease = async () => {} } = options;
    const onFault = this.#fault;
    const memoryLedger = new MemoryLedger(options.capturedMemoryMaxBytes ?? CAPTURED_MEMORY_MAX_BYTES);
    this.#unpacked = new UnpackedMemories({
      ...{ hypervisor, memoryLedger, clock: this.#clock, onFault },
      onDropped: (baseId) => this.#disks.forks.dropOf(baseId),
    });
    const [templates, unpacked] = [this.#templates, this.#unpacked];
    this.#disks = new DiskLauncher({ ...options, templates, unpacked, checkLease, onFault, signal });
    this.#ready = new ReadyMachines({
      ...options,
      templates,
      layers: this.#disks.layers,
      forks: this.#disks.forks,
      make: (kind, how) => this.#disks.make(kind, how),
      discard: (item) => this.#disks.discard(item),
      onFault,
      clock: this.#clock,
    });
    this.#space = new SpaceLedger({ directory: dataDirectory, ...(freeBytes && { freeBytes }) });
    this.#upkeep = new DiskUpkeep({ disks: this.#disks, hypervisor });
    const [disks, upkeep, space, clock] = [this.#disks, this.#upkeep, this.#space, this.#clock];
    this.#checkpoints = new CheckpointKeeper({ disks, upkeep, keys, space, clock });
    this.#capturing = { launcher: disks, memoryLedger, hypervisor, clock, onFault };
    this.#sealed = new SealedMachines({ disks, upkeep, space, unpacked, hypervisor, clock, onFault });
  }

  get readyCount(): number {
    return this.#ready.readyCount;
  }

  get readyForkCount(): number {
    return this.#disks.forks.readyCount;
  }

  /** What the machines that wait may come to use, and what lies unpacked for others. */
  get readyMemoryMb(): number {
    return this.#ready.readyMemoryMb + this.#unpacked.usedMb;
  }

  get templateState(): MachineSource["templateState"] {
    return this.#ready.templateState;
  }

  /** Resolves when all that is made ahead for now is there, or making it has failed. */
  settled(): Promise<void> {
    return this.#ready.settled();
  }

  async create(request: MachineRequest): Promise<CreatedMachine> {
    const kind = await this.#ready.kindFor(request.image, request.size);
    const { ownerId, signal = this.#closing.signal } = request;
    const item = await this.#ready.claim(kind, { ownerId, signal });
    try {
      request.signal?.throwIfAborted();
      const { mayReplaceKey: mayReplace = false } = request;
      const { commitment } = await this.#options.keys.putWorkspaceKey(request, item.key, { mayReplace });
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
      this.#ready.refillSoon(kind);
    }
  }

  async discard({ machine, disk }: Pick<CreatedMachine, "machine" | "disk">): Promise<void> {
    await machine.kill();
    await this.#disks.directory(disk.diskId).remove();
  }

  async boot(
    request: MachineRequest,
    disk: WorkspaceDisk,
    { isForMany = false }: { isForMany?: boolean } = {},
  ): Promise<{ machine: Machine; disk: WorkspaceDisk; linkToken: string }> {
    return this.#upkeep.exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const epoch = await open.directory.raiseEpoch(disk.epoch);
      // Nothing that is sealed fits the new epoch any more.
      await this.#upkeep.dropMemory(open.directory);
      const machine = await launchDisk(
        this.#disks,
        open,
        request,
        isForMany ? { kind: "boot" } : bootOver(open.template, request.size),
      );
      return { machine, disk: { ...disk, epoch }, linkToken: FIRST_LINK_TOKEN };
    });
  }

  resume(request: MachineRequest, disk: WorkspaceDisk, snapshot: SnapshotRef): Promise<Placed> {
    return this.#sealed.resume(request, disk, snapshot);
  }

  dropSnapshots(disk: WorkspaceDisk): Promise<void> {
    return this.#sealed.drop(disk);
  }

  findSnapshot(workspaceId: string, disk: WorkspaceDisk): Promise<SnapshotRef | undefined> {
    return this.#sealed.find(workspaceId, disk);
  }

  reserve(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SpaceReservation> {
    return this.#sealed.reserve(request, disk, machine);
  }

  seal(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    return this.#sealed.seal(request, disk, machine);
  }

  async capture(
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine | undefined,
    options: Parameters<MachineSource["capture"]>[3],
  ): Promise<{ disk: WorkspaceDisk; point: Point }> {
    return this.#upkeep.exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const captured =
        machine === undefined
          ? await captureStill(this.#capturing, request, open, options)
          : await captureRunning(this.#capturing, request, open, machine, options);
      const point = this.#pointOf(request.workspaceId, open, captured);
      this.#ready.refillSoon();
      return { disk: { ...disk, epoch: Math.max(disk.epoch, open.record.epoch) }, point };
    });
  }

  keep(
    request: MachineRequest,
    disk: WorkspaceDisk,
    point: Point,
    facts: CheckpointFacts,
  ): Promise<CheckpointInfo> {
    return this.#checkpoints.keep(request, disk, requireLocal(point), facts);
  }

  openCheckpoint(
    owner: CheckpointOwner,
    checkpointId: string,
    options?: Parameters<MachineSource["openCheckpoint"]>[2],
  ): Promise<Point> {
    return this.#checkpoints.open(owner, checkpointId, options);
  }

  prepareFork(request: MachineRequest, origin: ForkOrigin): PreparedFork {
    const { hypervisor } = this.#options;
    const [launcher, unpacked, onFault] = [this.#disks, this.#unpacked, this.#fault];
    const context = { launcher, hypervisor, unpacked, onFault };
    return new LocalPreparedFork(context, request, origin);
  }

  createFrom(request: MachineRequest, point: Point, prepared?: PreparedFork): Promise<CreatedMachine> {
    const { keys, hypervisor } = this.#options;
    const [launcher, unpacked, onFault] = [this.#disks, this.#unpacked, this.#fault];
    const context = { launcher, keys, hypervisor, unpacked, onFault };
    const half = prepared instanceof LocalPreparedFork ? prepared : undefined;
    return beginFrom(context, request, requireLocal(point), half).finally(() => this.#ready.refillSoon());
  }

  listCheckpoints(owner: CheckpointOwner) {
    return this.#checkpoints.list(owner);
  }

  deleteCheckpoint(owner: CheckpointOwner, checkpointId: string): Promise<void> {
    return this.#checkpoints.delete(owner, checkpointId);
  }

  async restore(request: MachineRequest, disk: WorkspaceDisk, checkpointId: string): Promise<WorkspaceDisk> {
    await using point = await this.#checkpoints.open({ ...request, disk }, checkpointId, {
      withMemory: false,
    });
    // Awaited here: the point is disposed of when this returns.
    return await this.#upkeep.exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const { record } = open;
      if (record.sameAs === checkpointId) return { ...disk, epoch: Math.max(disk.epoch, record.epoch) };
      const parts = { disks: this.#disks, upkeep: this.#upkeep };
      const epoch = await restoreDisk(parts, open, point, { checkpointId, epoch: disk.epoch });
      await this.#upkeep.dropMemory(open.directory);
      return { ...disk, epoch };
    });
  }

  async resumeCheckpoint(
    request: MachineRequest,
    disk: WorkspaceDisk,
    checkpointId: string,
  ): Promise<Placed & { linkToken: string }> {
    await using point = await this.#checkpoints.open({ ...request, disk }, checkpointId);
    // Awaited here: the point is disposed of when this returns.
    return await this.#upkeep.exclusively(disk, async () => {
      using open = await this.#disks.open(request, disk);
      const { memory } = point;
      const isSame = open.record.sameAs === checkpointId && open.record.epoch === disk.epoch;
      if (memory === undefined || !isSame || !isLoadable(point, this.#options.hypervisor, request.size)) {
        throw new AtollError("snapshot.incompatible", "the checkpoint's memory does not fit what is here");
      }
      const template = memory.facts.templateId === null ? undefined : open.template;
      const state = memory.read({ lends: true });
      const placed = await loadDisk(this.#disks, open, request, disk, { kind: "saved", template, state });
      this.#sealed.removeSoon(disk.diskId);
      return { ...placed, linkToken: memory.facts.linkToken };
    });
  }

  flatten(
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine | undefined,
  ): Promise<WorkspaceDisk> {
    return this.#upkeep.flatten(request, disk, machine);
  }

  async openView(
    owner: CheckpointOwner,
    checkpointId: string | null,
    signal?: AbortSignal,
  ): Promise<{ machine: Machine; linkToken: string }> {
    const { warm } = this.#options;
    // A bake goes on for whoever else needs it.
    const kind = await withDeadline(this.#ready.kindFor(warm.image, warm.size), {
      ...{ timeoutMs: TEMPLATE_TIMEOUT_MS, clock: this.#clock, signal },
      onTimeout: () => new AtollError("template.unavailable", "its bake takes too long"),
    });
    await using point = requireLocal(
      checkpointId === null
        ? await this.#presentOf(owner)
        : await this.openCheckpoint(owner, checkpointId, { withMemory: false }),
    );
    return await openView({ launcher: this.#disks, kind, onFault: this.#fault }, point, signal);
  }

  archive(request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk> {
    return this.#upkeep.archive(request, disk);
  }

  unarchive(_request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk> {
    return this.#upkeep.unarchive(disk);
  }

  hasKey(workspaceId: string): Promise<boolean> {
    return this.#options.keys.hasWorkspaceKey(workspaceId);
  }

  async destroyKey(workspaceId: string): Promise<void> {
    await this.#options.keys.destroyWorkspaceKey({ workspaceId });
  }

  async destroy(
    workspaceId: string,
    _ownerId: string | undefined,
    disk: WorkspaceDisk | undefined,
  ): Promise<DestroyedWorkspace> {
    const { commitment, destroyedAtMs } = await this.#options.keys.destroyWorkspaceKey({ workspaceId });
    if (disk !== undefined) {
      await this.#disks.directory(disk.diskId).remove();
      await this.#unpacked.dropOf(disk.diskId);
    }
    const note = await noteErasure(this.#erasedPath, workspaceId, {
      keyDestroyedAtMs: destroyedAtMs,
      dataUnlinkedAtMs: this.#clock.now(),
    });
    return { ...note, keyCommitment: commitment };
  }

  destroyOwnerKey(ownerId: string): Promise<{ commitment: string | null; destroyedAtMs: number }> {
    return this.#options.keys.destroyOwnerKey(ownerId);
  }

  sweep(knownDiskIds: ReadonlySet<string>, strays: StrayDisks = NO_STRAYS): Promise<void> {
    const parts = {
      ...{ options: this.#options, disks: this.#disks, upkeep: this.#upkeep, ready: this.#ready },
      ...{ templates: this.#templates, erasedPath: this.#erasedPath, onFault: this.#fault },
    };
    return sweepData(parts, knownDiskIds, strays);
  }

  /** Ends what nobody claimed. Machines of workspaces are their owners' to pause. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AtollError("host.draining"));
    await this.#ready[Symbol.asyncDispose]();
    await this.#unpacked[Symbol.asyncDispose]();
    await this.#disks[Symbol.asyncDispose]();
  }

  #pointOf(workspaceId: string, { directory, record }: OpenDisk, captured: Captured): LocalPoint {
    const { imageKey, templateId, epoch, parentId } = record;
    const ids = captured.layers.map(({ layerId }) => layerId);
    const onDispose = this.#upkeep.pins.add(directory.diskId, ids);
    const origin = { workspaceId, directory, imageKey, templateId, epoch, parentId };
    return new LocalPoint({ ...origin, ...captured, isForMany: false, onDispose });
  }

  /** The disk of a workspace without a machine, as it is now. */
  async #presentOf(owner: CheckpointOwner): Promise<Point> {
    const { disk, ownerId, workspaceId } = owner;
    const { image, size } = this.#options.warm;
    const options = { withMemory: false, linkToken: FIRST_LINK_TOKEN, letRun: false };
    try {
      const request = { ownerId, workspaceId, image, size };
      return (await this.capture(request, disk, undefined, options)).point;
    } catch (error) {
      // No room on the host, or no layer more before a flattening: to look at it needs neither.
      if (!hasCode(error, "host.disk_full", "workspace.busy")) throw error;
      return this.#asItLies(owner);
    }
  }

  /** With the layer that is written to, which the machine that looks keeps from being: whoever starts it ends the view first. */
  #asItLies({ disk, ownerId, workspaceId }: CheckpointOwner): Promise<Point> {
    return this.#upkeep.exclusively(disk, async () => {
      using open = await this.#disks.open({ ownerId, workspaceId }, disk);
      await open.directory.freeze(open.layers.map(({ layerId }) => layerId));
      const layers = copyLayers(open.layers);
      return this.#pointOf(workspaceId, open, { layers, memory: undefined, stoppedMs: 0 });
    });
  }

  get #erasedPath(): string {
    return join(this.#options.dataDirectory, "erased");
  }

  /** What closing cut off is no fault. */
  readonly #fault = (error: unknown): void => {
    if (!this.#closing.signal.aborted) this.#options.onFault(error);
  };
}
