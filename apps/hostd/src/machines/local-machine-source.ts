/** Machines of this host: templates, the pool, encrypted disks and sealed snapshots in one data directory. */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import { deriveKey } from "@atoll/keys/derive-key";
import { KEY_BYTES, type KeyStore } from "@atoll/keys/key-store";
import { replaceFile } from "@atoll/keys/replace-file";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import type { MachineSize } from "@atoll/protocol/plans";
import { z } from "zod";
import { createDisk } from "../disks/create-disk.ts";
import { DiskDirectory } from "../disks/disk-directory.ts";
import type {
  EncryptedDisk,
  Hypervisor,
  ImageFiles,
  Machine,
  MachineStart,
} from "../hypervisor/hypervisor.ts";
import { MachinePool, type PoolItem, type PoolKind } from "../pool/machine-pool.ts";
import {
  findManifest,
  readManifest,
  readSnapshot,
  removeSnapshots,
  requireSpace,
  type SnapshotManifest,
  writeSnapshot,
} from "../snapshots/snapshot-store.ts";
import { type PrepareGuest, type Template, TemplateStore } from "../templates/template-store.ts";
import type {
  CreatedMachine,
  MachineRequest,
  MachineSource,
  SnapshotRef,
  WorkspaceDisk,
} from "./machine-source.ts";

export interface ImageSource {
  /** What new workspaces of this name get. @throws AtollError image.unknown */
  byName(name: string): Promise<ImageFiles>;
  /** What an existing disk was made with. @throws AtollError image.unknown */
  byKey(key: string): Promise<ImageFiles>;
}

export interface LocalMachineSourceOptions {
  dataDirectory: string;
  hypervisor: Hypervisor;
  keys: KeyStore;
  images: ImageSource;
  qemuImgCommand: readonly string[];
  /** Memory-backed, private to us: keys lie here while a disk is made. */
  scratchDirectory: string;
  prepareGuest: PrepareGuest;
  /** Baked at start, and `poolSize` machines of it kept ready. */
  warm: { image: string; size: MachineSize };
  poolSize: number;
  /** Faults of background work: baking ahead, refilling, cleaning up. */
  onFault: (error: unknown) => void;
  clock?: Clock;
}

/** A refill right after a claim would take a core from the very start that claimed. */
const REFILL_AFTER_MS = 1500;
/** Of sizes that were asked for but are not the warm one. */
const OTHER_SIZES_READY = 1;

const erasureNote = z.strictObject({ keyDestroyedAtMs: z.number(), dataUnlinkedAtMs: z.number() });

export class LocalMachineSource implements MachineSource, AsyncDisposable {
  readonly #options: LocalMachineSourceOptions;
  readonly #clock: Clock;
  readonly #templates: TemplateStore;
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
    });
    this.#pool = new MachinePool({
      make: (kind) => this.#makeItem(kind),
      discard: (item) => this.#discardItem(item),
      onFault: options.onFault,
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
        linkToken: kind.template.linkToken,
        keyCommitment: commitment,
      };
    } catch (error) {
      await this.#discardItem(item);
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
    const directory = this.#directory(disk.diskId);
    const template = await this.#templateOf(disk);
    const epoch = await directory.raiseEpoch(disk.epoch);
    const machine = await this.#launch(request, disk, template, { kind: "boot" });
    // No snapshot fits the new epoch any more.
    this.#inBackground(removeSnapshots(directory.snapshotsPath));
    return { machine, disk: { ...disk, epoch }, linkToken: FIRST_LINK_TOKEN };
  }

  async resume(
    request: MachineRequest,
    disk: WorkspaceDisk,
    snapshot: SnapshotRef,
  ): Promise<{ machine: Machine; disk: WorkspaceDisk }> {
    const directory = this.#directory(disk.diskId);
    const [manifest, stored] = await Promise.all([
      readManifest(directory.snapshotsPath, snapshot.snapshotId),
      directory.read(),
    ]);
    this.#requireFit(manifest, request, disk, stored.epoch);
    const template = await this.#templateOf(disk);
    const key = await this.#options.keys.unwrapWorkspaceKey(request);
    try {
      const machine = await this.#launchWith(key, request, disk, template, {
        kind: "saved",
        template: manifest.templateId === null ? undefined : template,
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
    const directory = this.#directory(disk.diskId);
    const { epoch } = await directory.read();
    const manifest = epoch === disk.epoch ? await findManifest(directory.snapshotsPath, epoch) : undefined;
    return manifest?.workspaceId === workspaceId ? snapshotRef(manifest) : undefined;
  }

  async pause(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    const directory = this.#directory(disk.diskId);
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
    const erased = join(this.#options.dataDirectory, "erased");
    await mkdir(erased, { recursive: true, mode: 0o700 });
    const notePath = join(erased, `${uuid.parse(workspaceId)}.json`);
    // Both are repeated whatever the note says: they cost nothing when there is nothing left.
    const { destroyedAtMs } = await this.#options.keys.destroyWorkspaceKey({ ownerId, workspaceId });
    if (disk !== undefined) await this.#directory(disk.diskId).remove();
    const known = await readFile(notePath, "utf8").catch(() => undefined);
    if (known !== undefined) return erasureNote.parse(JSON.parse(known));
    const note = { keyDestroyedAtMs: destroyedAtMs, dataUnlinkedAtMs: this.#clock.now() };
    await replaceFile(notePath, JSON.stringify(note));
    return note;
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
      if (uuid.safeParse(name).success && !kept.has(name)) await this.#directory(name).remove();
    }
    this.#warming ??= this.#warm();
  }

  /** Ends what nobody claimed. Machines of workspaces are their owners' to pause. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelRefill();
    await this.#warming;
    await this.#pool[Symbol.asyncDispose]();
  }

  get #workspaces(): string {
    return join(this.#options.dataDirectory, "workspaces");
  }

  #warmTemplateId: string | undefined;

  async #warm(): Promise<void> {
    const { warm, poolSize, onFault } = this.#options;
    try {
      const kind = await this.#kindFor(warm.image, warm.size);
      this.#templateState = "ready";
      this.#warmTemplateId = kind.template.templateId;
      this.#pool.keep(kind, poolSize);
      this.#pool.refill();
    } catch (error) {
      this.#templateState = "failed";
      onFault(error);
    }
  }

  async #kindFor(imageName: string, size: MachineSize): Promise<PoolKind> {
    const image = await this.#options.images.byName(imageName);
    return { image, template: await this.#templates.provide(image, size) };
  }

  #directory(diskId: string): DiskDirectory {
    return new DiskDirectory(this.#workspaces, diskId);
  }

  async #templateOf(disk: WorkspaceDisk): Promise<Template> {
    const template = await this.#templates.find(disk.templateId);
    if (template === undefined) throw new AtollError("template.unavailable", "the disk's template is gone");
    return template;
  }

  #requireFit(
    manifest: SnapshotManifest,
    request: MachineRequest,
    disk: WorkspaceDisk,
    storedEpoch: number,
  ): void {
    const isOurs =
      manifest.workspaceId === request.workspaceId &&
      manifest.epoch === disk.epoch &&
      manifest.epoch === storedEpoch;
    if (!isOurs) throw new AtollError("snapshot.invalid", "the snapshot is not of this disk's present state");
    const isLoadable =
      manifest.fingerprint === this.#options.hypervisor.fingerprint &&
      manifest.imageKey === disk.imageKey &&
      manifest.memoryMb === request.size.memoryMb &&
      (manifest.templateId === null || manifest.templateId === disk.templateId);
    if (!isLoadable) throw new AtollError("snapshot.incompatible");
  }

  async #seal(
    directory: DiskDirectory,
    key: Uint8Array,
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine,
  ): Promise<SnapshotManifest> {
    const origin = {
      workspaceId: request.workspaceId,
      epoch: disk.epoch,
      fingerprint: this.#options.hypervisor.fingerprint,
      imageKey: disk.imageKey,
      templateId: machine.record.templateId,
      memoryMb: request.size.memoryMb,
    };
    try {
      const state = machine.saveState(request.signal);
      return await writeSnapshot(directory.snapshotsPath, key, origin, state, this.#clock.now());
    } catch (error) {
      // It goes on as if nobody had asked; if it is gone, its owner hears of that from the machine itself.
      await machine.start().catch(this.#options.onFault);
      throw error;
    }
  }

  async #launch(
    request: MachineRequest,
    disk: WorkspaceDisk,
    template: Template,
    start: MachineStart,
  ): Promise<Machine> {
    const key = await this.#options.keys.unwrapWorkspaceKey(request);
    try {
      return await this.#launchWith(key, request, disk, template, start);
    } finally {
      key.fill(0);
    }
  }

  async #launchWith(
    workspaceKey: Uint8Array,
    request: MachineRequest,
    disk: WorkspaceDisk,
    template: Template,
    start: MachineStart,
  ): Promise<Machine> {
    const encrypted = this.#encryptedDisk(disk.diskId, workspaceKey, template);
    try {
      return await this.#options.hypervisor.launch({
        machineId: `${disk.diskId.slice(0, 8)}-${randomBytes(6).toString("hex")}`,
        image: await this.#options.images.byKey(disk.imageKey),
        size: request.size,
        disk: encrypted,
        start,
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
    } finally {
      encrypted.key.fill(0);
    }
  }

  #encryptedDisk(diskId: string, workspaceKey: Uint8Array, template: Template): EncryptedDisk {
    return {
      kind: "encrypted",
      path: this.#directory(diskId).diskPath,
      key: deriveKey(workspaceKey, "disk"),
      backingPath: template.diskPath,
    };
  }

  async #makeItem({ template, image }: PoolKind): Promise<PoolItem> {
    const { hypervisor, qemuImgCommand, scratchDirectory } = this.#options;
    const directory = this.#directory(randomUUID());
    const { diskId } = directory;
    const { templateId } = template;
    const key = new Uint8Array(randomBytes(KEY_BYTES));
    const disk = this.#encryptedDisk(diskId, key, template);
    try {
      await directory.create();
      const sizeMb = template.size.diskMb;
      await createDisk({ qemuImgCommand, path: disk.path, sizeMb, key: disk.key, scratchDirectory });
      await directory.write({ epoch: 1, imageKey: image.key, templateId });
      const machineId = `${diskId.slice(0, 8)}-${randomBytes(6).toString("hex")}`;
      const start: MachineStart = { kind: "template", template };
      const machine = await hypervisor.launch({ machineId, image, size: template.size, disk, start });
      try {
        await machine.load();
      } catch (error) {
        await machine.kill();
        throw error;
      }
      return { diskId, templateId, key, machine };
    } catch (error) {
      key.fill(0);
      await directory.remove();
      throw error;
    } finally {
      disk.key.fill(0);
    }
  }

  async #discardItem(item: PoolItem): Promise<void> {
    item.key.fill(0);
    await item.machine.kill();
    await this.#directory(item.diskId).remove();
  }

  #scheduleRefill(): void {
    this.#cancelRefill();
    this.#cancelRefill = this.#clock.schedule(REFILL_AFTER_MS, () => this.#pool.refill());
  }

  #inBackground(work: Promise<unknown>): void {
    work.catch(this.#options.onFault);
  }
}

function snapshotRef(manifest: SnapshotManifest): SnapshotRef {
  const { snapshotId, sealedBytes, createdAtMs } = manifest;
  return { snapshotId, sizeBytes: sealedBytes, createdAtMs };
}
