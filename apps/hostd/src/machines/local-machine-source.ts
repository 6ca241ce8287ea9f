/** Machines of this host: templates, the pool, encrypted disks and sealed snapshots in one data directory. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import type { MachineSize } from "@atoll/protocol/plans";
import type { DiskDirectory } from "../disks/disk-directory.ts";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { MachinePool, type PoolKind } from "../pool/machine-pool.ts";
import {
  findManifest,
  readManifest,
  readSnapshot,
  removeSnapshots,
  requireFit,
  requireSpace,
  type SnapshotManifest,
  type SnapshotOrigin,
  writeSnapshot,
} from "../snapshots/snapshot-store.ts";
import { TemplateStore } from "../templates/template-store.ts";
import { DiskLauncher } from "./disk-launcher.ts";
import { noteErasure } from "./erasure-note.ts";
import type { LocalMachineSourceOptions } from "./local-machine-source-options.ts";
import type {
  CreatedMachine,
  MachineRequest,
  MachineSource,
  SnapshotRef,
  WorkspaceDisk,
} from "./machine-source.ts";

/** A refill right after a claim would take a core from the very start that claimed. */
const REFILL_AFTER_MS = 1500;
/** Of sizes that were asked for but are not the warm one. */
const OTHER_SIZES_READY = 1;

export class LocalMachineSource implements MachineSource, AsyncDisposable {
  readonly #options: LocalMachineSourceOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #templates: TemplateStore;
  readonly #disks: DiskLauncher;
  readonly #pool: MachinePool;
  #templateState: MachineSource["templateState"] = "baking";
  #cancelRefill = () => {};
  #warming: Promise<void> | undefined;

  constructor(options: LocalMachineSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#templates = new TemplateStore({
      directory: join(options.dataDirectory, "templates"),
      hypervisor: options.hypervisor,
      prepareGuest: options.prepareGuest,
      signal: this.#closing.signal,
    });
    this.#disks = new DiskLauncher({
      ...options,
      directory: this.#workspaces,
      templates: this.#templates,
      signal: this.#closing.signal,
    });
    this.#pool = new MachinePool({
      make: (kind, how) => this.#disks.make(kind, how),
      discard: (item) => this.#disks.discard(item),
      onFault: (error) => this.#fault(error),
    });
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
    const directory = this.#disks.directory(disk.diskId);
    const template = await this.#disks.templateOf(disk);
    const key = await this.#options.keys.unwrapWorkspaceKey(request);
    let epoch: number;
    let machine: Machine;
    try {
      epoch = await directory.raiseEpoch(disk.epoch);
      machine = await this.#disks.launch(key, request, disk, template, { kind: "boot" });
    } finally {
      key.fill(0);
    }
    // No snapshot fits the new epoch any more.
    this.#inBackground(removeSnapshots(directory.snapshotsPath));
    return { machine, disk: { ...disk, epoch }, linkToken: FIRST_LINK_TOKEN };
  }

  async resume(
    request: MachineRequest,
    disk: WorkspaceDisk,
    snapshot: SnapshotRef,
  ): Promise<{ machine: Machine; disk: WorkspaceDisk }> {
    const directory = this.#disks.directory(disk.diskId);
    const [manifest, stored] = await Promise.all([
      readManifest(directory.snapshotsPath, snapshot.snapshotId),
      directory.read(),
    ]);
    if (stored.epoch !== disk.epoch) throw new AtollError("snapshot.invalid", "the disk was opened since");
    requireFit(
      manifest,
      this.#originOf(request, disk, manifest.templateId === null ? null : disk.templateId),
    );
    const template = await this.#disks.templateOf(disk);
    const key = await this.#options.keys.unwrapWorkspaceKey(request);
    try {
      const machine = await this.#disks.launch(key, request, disk, template, {
        kind: "saved",
        template: manifest.templateId === template.templateId ? template : undefined,
        state: readSnapshot(directory.snapshotsPath, key, manifest),
      });
      try {
        await machine.load(request.signal);
        // Here the snapshot is consumed: it names the epoch before.
        const epoch = await directory.raiseEpoch(disk.epoch);
        this.#inBackground(removeSnapshots(directory.snapshotsPath));
        return { machine, disk: { ...disk, epoch } };
      } catch (error) {
        await machine.kill();
        throw error;
      }
    } finally {
      key.fill(0);
    }
  }

  async findSnapshot(workspaceId: string, disk: WorkspaceDisk): Promise<SnapshotRef | undefined> {
    const directory = this.#disks.directory(disk.diskId);
    const { epoch } = await directory.read();
    const manifest = epoch === disk.epoch ? await findManifest(directory.snapshotsPath, epoch) : undefined;
    return manifest?.workspaceId === workspaceId ? snapshotRef(manifest) : undefined;
  }

  async pause(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    const directory = this.#disks.directory(disk.diskId);
    await requireSpace(directory.path, request.size.memoryMb);
    const key = await this.#options.keys.unwrapWorkspaceKey(request);
    try {
      await machine.stop(request.signal);
      const manifest = await this.#seal(directory, key, request, disk, machine);
      await machine.kill();
      return snapshotRef(manifest);
    } finally {
      key.fill(0);
    }
  }

  async destroy(
    workspaceId: string,
    ownerId: string,
    disk: WorkspaceDisk | undefined,
  ): Promise<{ keyDestroyedAtMs: number; dataUnlinkedAtMs: number }> {
    const { destroyedAtMs } = await this.#options.keys.destroyWorkspaceKey({ ownerId, workspaceId });
    if (disk !== undefined) await this.#disks.directory(disk.diskId).remove();
    return noteErasure(join(this.#options.dataDirectory, "erased"), workspaceId, {
      keyDestroyedAtMs: destroyedAtMs,
      dataUnlinkedAtMs: this.#clock.now(),
    });
  }

  destroyOwnerKey(ownerId: string): Promise<{ commitment: string | null; destroyedAtMs: number }> {
    return this.#options.keys.destroyOwnerKey(ownerId);
  }

  async sweep(knownDiskIds: ReadonlySet<string>): Promise<void> {
    await mkdir(this.#workspaces, { recursive: true, mode: 0o700 });
    await this.#options.hypervisor.reap();
    await this.#templates.sweep();
    const kept = new Set([...knownDiskIds, ...this.#pool.diskIds]);
    for (const name of await readdir(this.#workspaces)) {
      if (uuid.safeParse(name).success && !kept.has(name)) await this.#disks.directory(name).remove();
    }
    this.#warming ??= this.#warm();
  }

  /** Ends what nobody claimed. Machines of workspaces are their owners' to pause. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelRefill();
    this.#closing.abort(new AtollError("host.draining"));
    await this.#warming;
    await this.#pool[Symbol.asyncDispose]();
  }

  get #workspaces(): string {
    return join(this.#options.dataDirectory, "workspaces");
  }

  #warmTemplateId: string | undefined;

  async #warm(): Promise<void> {
    const { warm, poolSize } = this.#options;
    try {
      const kind = await this.#kindFor(warm.image, warm.size);
      this.#templateState = "ready";
      this.#warmTemplateId = kind.template.templateId;
      this.#pool.keep(kind, poolSize);
      this.#pool.refill();
    } catch (error) {
      this.#templateState = "failed";
      this.#fault(error);
    }
  }

  async #kindFor(imageName: string, size: MachineSize): Promise<PoolKind> {
    const image = await this.#options.images.byName(imageName);
    return { image, template: await this.#templates.provide(image, size) };
  }

  async #seal(
    directory: DiskDirectory,
    key: Uint8Array,
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine,
  ): Promise<SnapshotManifest> {
    const origin = this.#originOf(request, disk, machine.record.templateId);
    try {
      const state = machine.saveState(request.signal);
      return await writeSnapshot(directory.snapshotsPath, key, origin, state, this.#clock.now());
    } catch (error) {
      // It goes on as if nobody had asked; if it is gone, its owner hears of that from the machine itself.
      await machine.start().catch(this.#options.onFault);
      throw error;
    }
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

  #scheduleRefill(): void {
    this.#cancelRefill();
    this.#cancelRefill = this.#clock.schedule(REFILL_AFTER_MS, () => this.#pool.refill());
  }

  /** What closing cut off is no fault. */
  #fault(error: unknown): void {
    if (!this.#closing.signal.aborted) this.#options.onFault(error);
  }

  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#fault(error));
  }
}

function snapshotRef(manifest: SnapshotManifest): SnapshotRef {
  const { snapshotId, sealedBytes, createdAtMs } = manifest;
  return { snapshotId, sizeBytes: sealedBytes, createdAtMs };
}
