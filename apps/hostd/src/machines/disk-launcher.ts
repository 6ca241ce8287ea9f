/** Puts machines over workspaces' disks: new ones for the pool, existing ones with their key and template. */
import { randomBytes, randomUUID } from "node:crypto";
import { deriveKey } from "@atoll/keys/derive-key";
import { KEY_BYTES } from "@atoll/keys/key-store";
import { AtollError } from "@atoll/protocol/atoll-error";
import { createDisk } from "../disks/create-disk.ts";
import { DiskDirectory } from "../disks/disk-directory.ts";
import type { EncryptedDisk, Hypervisor, Machine, MachineStart } from "../hypervisor/hypervisor.ts";
import type { PoolItem, PoolKind } from "../pool/machine-pool.ts";
import type { Template, TemplateStore } from "../templates/template-store.ts";
import type { ImageSource } from "./image-source.ts";
import type { MachineRequest, WorkspaceDisk } from "./machine-source.ts";

export interface DiskLauncherOptions {
  /** `workspaces/` of the data directory. */
  directory: string;
  hypervisor: Hypervisor;
  images: ImageSource;
  templates: TemplateStore;
  qemuImgCommand: readonly string[];
  scratchDirectory: string;
  rehearseGuest: RehearseGuest;
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

export class DiskLauncher {
  readonly #options: DiskLauncherOptions;

  constructor(options: DiskLauncherOptions) {
    this.#options = options;
  }

  directory(diskId: string): DiskDirectory {
    return new DiskDirectory(this.#options.directory, diskId);
  }

  /** @throws AtollError template.unavailable: without its backing file the disk cannot be read */
  async templateOf(disk: WorkspaceDisk): Promise<Template> {
    const template = await this.#options.templates.find(disk.templateId);
    if (template === undefined) throw new AtollError("template.unavailable", "the disk's template is gone");
    return template;
  }

  async launch(
    workspaceKey: Uint8Array,
    request: MachineRequest,
    disk: WorkspaceDisk,
    template: Template,
    start: MachineStart,
  ): Promise<Machine> {
    const encrypted = this.#encryptedDisk(disk.diskId, workspaceKey, template);
    try {
      return await this.#options.hypervisor.launch({
        machineId: newMachineId(disk.diskId),
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

  /**
   * A disk that is nobody's yet, and a machine over it that has loaded its template and does not run.
   * @param isAhead nobody waits: the machine is rehearsed before it is stopped again
   */
  async make({ template, image }: PoolKind, { isAhead }: { isAhead: boolean }): Promise<PoolItem> {
    const { hypervisor, qemuImgCommand, scratchDirectory, signal } = this.#options;
    const directory = this.directory(randomUUID());
    const { diskId } = directory;
    const { templateId, size } = template;
    const key = new Uint8Array(randomBytes(KEY_BYTES));
    const disk = this.#encryptedDisk(diskId, key, template);
    try {
      await directory.create();
      await createDisk({
        qemuImgCommand,
        path: disk.path,
        sizeMb: size.diskMb,
        key: disk.key,
        scratchDirectory,
        signal,
      });
      await directory.write({ epoch: 1, imageKey: image.key, templateId });
      const machineId = newMachineId(diskId);
      const machine = await hypervisor.launch({
        machineId,
        image,
        size,
        disk,
        start: { kind: "template", template },
        signal,
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
      disk.key.fill(0);
    }
  }

  async discard(item: PoolItem): Promise<void> {
    item.key.fill(0);
    await item.machine.kill();
    await this.directory(item.diskId).remove();
  }

  async #rehearse(machine: Machine, template: Template): Promise<string> {
    const { rehearseGuest, signal } = this.#options;
    const { linkToken } = await rehearseGuest(machine, { expectedToken: template.linkToken, signal });
    await machine.stop();
    return linkToken;
  }

  #encryptedDisk(diskId: string, workspaceKey: Uint8Array, template: Template): EncryptedDisk {
    return {
      kind: "encrypted",
      path: this.directory(diskId).diskPath,
      key: deriveKey(workspaceKey, "disk"),
      backingPath: template.diskPath,
    };
  }
}

/** Short, because it is part of socket paths; unique, because a disk has many machines over time. */
function newMachineId(diskId: string): string {
  return `${diskId.slice(0, 8)}-${randomBytes(6).toString("hex")}`;
}
