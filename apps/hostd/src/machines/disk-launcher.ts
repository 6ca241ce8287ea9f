/** Puts machines over workspaces' disks: new ones for the pool, existing ones with their keys and template. */
import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import type { KeyStore } from "@atoll/keys/key-store";
import { newKey } from "@atoll/keys/new-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MachineSize } from "@atoll/protocol/plans";
import { DiskDirectory } from "../disks/disk-directory.ts";
import { EmptyLayers } from "../disks/empty-layers.ts";
import { unwrapLayers, wrapLayers } from "../disks/layer-keys.ts";
import { ReadyLayers } from "../disks/ready-layers.ts";
import type {
  DiskLayer,
  EncryptedDisk,
  Hypervisor,
  Machine,
  MachineStart,
} from "../hypervisor/hypervisor.ts";
import type { PoolItem, PoolKind } from "../pool/machine-pool.ts";
import { WaitingForks } from "../pool/waiting-forks.ts";
import type { Template, TemplateStore } from "../templates/template-store.ts";
import { discardForkHalf, type ForkHalf, type ForkKind, makeForkHalf } from "./fork-half.ts";
import type { ImageSource } from "./image-source.ts";
import type { WorkspaceDisk } from "./machine-source.ts";
import { OpenDisk } from "./open-disk.ts";
import type { UnpackedMemories } from "./unpacked-memories.ts";

export interface DiskLauncherOptions {
  dataDirectory: string;
  hypervisor: Hypervisor;
  keys: KeyStore;
  images: ImageSource;
  templates: TemplateStore;
  unpacked: Pick<UnpackedMemories, "isKept" | "lendKept">;
  qemuImgCommand: readonly string[];
  scratchDirectory: string;
  rehearseGuest: RehearseGuest;
  checkLease: () => Promise<void>;
  /** How many machines are kept ready; 0 on a host that makes nothing ahead. */
  poolSize: number;
  /** Whether this host has room for one more machine that waits. */
  mayWait?: ((memoryMb: number) => boolean) | undefined;
  onFault: (error: unknown) => void;
  /** Ends what is made ahead. */
  signal: AbortSignal;
}

/**
 * Runs a clone that nobody waits for through what its first user will do, so that it is quick then; link closed after it.
 * Answers the token that the agent expects next.
 */
export type RehearseGuest = (
  machine: Machine,
  options: { expectedToken: string; signal: AbortSignal },
) => Promise<{ linkToken: string }>;

/** What a machine is started with beside its disk. */
export interface LaunchOptions {
  diskId: string;
  imageKey: string;
  size: MachineSize;
  start: MachineStart;
  view?: EncryptedDisk;
  signal?: AbortSignal | undefined;
}

/** Forks of one running workspace come one at a time. */
const FORKS_READY = 1;

export class DiskLauncher implements AsyncDisposable {
  readonly #options: DiskLauncherOptions;
  readonly layers: ReadyLayers;
  readonly forks: WaitingForks;

  constructor(options: DiskLauncherOptions) {
    this.#options = options;
    const { dataDirectory, qemuImgCommand, scratchDirectory, signal } = options;
    const directory = join(dataDirectory, "empty-disks");
    const emptyLayers = new EmptyLayers({ directory, qemuImgCommand, scratchDirectory, signal });
    this.layers = new ReadyLayers({
      directory: join(directory, "ready"),
      emptyLayers,
      onFault: options.onFault,
    });
    this.forks = new WaitingForks({
      make: (kind) => this.#makeForkHalf(kind),
      isKept: (baseId) => options.unpacked.isKept(baseId),
      discard: discardForkHalf,
      readyPerKind: Math.min(options.poolSize, FORKS_READY),
      mayWait: options.mayWait,
      onFault: options.onFault,
    });
  }

  get workspacesPath(): string {
    return join(this.#options.dataDirectory, "workspaces");
  }

  directory(diskId: string): DiskDirectory {
    return new DiskDirectory(this.workspacesPath, diskId, this.#options.checkLease);
  }

  /** @throws AtollError template.missing: without its backing file the disk cannot be read */
  async templateOf(disk: Pick<WorkspaceDisk, "templateId">): Promise<Template> {
    const template = await this.#options.templates.find(disk.templateId);
    if (template === undefined) throw new AtollError("template.missing", "the disk's template is gone");
    return template;
  }

  /** @throws AtollError template.missing, key.not_found, vm.start_failed, workspace.busy of an archived one */
  async open(
    owner: { ownerId: string; workspaceId: string },
    disk: WorkspaceDisk,
    { isArchivedFine = false }: { isArchivedFine?: boolean } = {},
  ): Promise<OpenDisk> {
    const directory = this.directory(disk.diskId);
    const template = await this.templateOf(disk);
    const { ownerId, workspaceId } = owner;
    const workspaceKey = await this.#options.keys.unwrapWorkspaceKey({ ownerId, workspaceId });
    try {
      await directory.migrate(workspaceKey);
      const record = await directory.read();
      if (record.isArchived && !isArchivedFine) throw new AtollError("workspace.busy", "it is archived");
      const layers = unwrapLayers(workspaceKey, disk.diskId, record.layers);
      return new OpenDisk({ directory, template, workspaceKey, record, layers });
    } catch (error) {
      workspaceKey.fill(0);
      throw error;
    }
  }

  /** An empty layer with a key of its own, which the caller wipes. Its name is durable with the directory's next sync. */
  newLayer(directory: DiskDirectory, sizeMb: number, into = directory.layersPath): Promise<DiskLayer> {
    return this.layers.take(into, sizeMb);
  }

  async launch(disk: EncryptedDisk, options: LaunchOptions): Promise<Machine> {
    const { diskId, imageKey, size, start, view, signal } = options;
    return this.#options.hypervisor.launch({
      ...{ machineId: newMachineId(diskId), size, disk, start },
      image: await this.#options.images.byKey(imageKey),
      ...(view === undefined ? {} : { view }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /**
   * A disk that is nobody's yet, and a machine over it that has loaded its template and does not run.
   * @param isAhead nobody waits: the machine is rehearsed before it is stopped again
   */
  async make({ template, image }: PoolKind, { isAhead }: { isAhead: boolean }): Promise<PoolItem> {
    const { hypervisor, signal } = this.#options;
    const directory = this.directory(randomUUID());
    const { diskId } = directory;
    const { templateId, size } = template;
    const key = newKey();
    let top: DiskLayer | undefined;
    try {
      await directory.create();
      top = await this.newLayer(directory, size.diskMb);
      await directory.sync();
      await directory.write({
        ...{ epoch: 1, imageKey: image.key, templateId, layers: wrapLayers(key, diskId, [top]) },
        ...{ isTopEmpty: false, parentId: null, sameAs: null, isArchived: false, memoryBase: null },
      });
      const machine = await hypervisor.launch({
        ...{ machineId: newMachineId(diskId), image, size, signal },
        disk: {
          ...{ kind: "encrypted", directory: directory.layersPath, layers: [top] },
          backingPath: template.diskPath,
        },
        start: { kind: "template", template },
      });
      try {
        await machine.load(signal);
        const linkToken = isAhead ? await this.#rehearse(machine, template) : template.linkToken;
        return { diskId, templateId, linkToken, key, machine };
      } catch (error) {
        await machine.kill();
        throw error;
      }
    } catch (error) {
      key.fill(0);
      await directory.remove();
      throw error;
    } finally {
      top?.key.fill(0);
    }
  }

  /** After the signal is aborted, and after the machines that were made ahead. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.forks[Symbol.asyncDispose]();
    await this.layers[Symbol.asyncDispose]();
  }

  async discard(item: PoolItem): Promise<void> {
    item.key.fill(0);
    await item.machine.kill();
    await this.directory(item.diskId).remove();
  }

  async #makeForkHalf(kind: ForkKind): Promise<ForkHalf> {
    const { unpacked, signal } = this.#options;
    await using lent = kind.baseId === null ? undefined : await unpacked.lendKept(kind.baseId);
    // Awaited here: it is lent until then.
    return await makeForkHalf(this, kind, { signal, base: lent?.state });
  }

  async #rehearse(machine: Machine, template: Template): Promise<string> {
    const { rehearseGuest, signal } = this.#options;
    const { linkToken } = await rehearseGuest(machine, { expectedToken: template.linkToken, signal });
    await machine.stop();
    return linkToken;
  }
}

/** Short, because it is part of socket paths; unique, because a disk has many machines over time. */
function newMachineId(diskId: string): string {
  return `${beginningOf(diskId)}${randomBytes(6).toString("hex")}`;
}

const beginningOf = (diskId: string) => `${diskId.slice(0, 8)}-`;

/** Whether a machine of this id may lie over this disk. */
export function mayBeOver(machineId: string, diskId: string): boolean {
  return machineId.startsWith(beginningOf(diskId));
}
