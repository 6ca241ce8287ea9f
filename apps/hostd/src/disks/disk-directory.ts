/**
 * A workspace's directory below `workspaces/`: `disk.json`, `layers/<layerId>.qcow2`, `snapshots/`, `checkpoints/`, and
 * `memory-base` where its memory is a difference to a template's. Layers below the top are never written again and belong
 * to root, read-only; other workspaces that begin from them have them as hard links, as they have the memory, so each
 * directory is complete in itself and removing one takes nothing from another.
 */
import { chmod, chown, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { linkFile } from "@atoll/durable/link-file";
import { removeDurably } from "@atoll/durable/remove-durably";
import { replaceFile } from "@atoll/durable/replace-file";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { deriveKey } from "@atoll/keys/derive-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { diskError } from "./disk-error.ts";
import { anyDiskRecord, type DiskRecord, diskRecord } from "./disk-record.ts";
import { wrapLayers } from "./layer-keys.ts";
import { linkPresent } from "./link-present.ts";

const LAYER_FILE = /^([0-9a-f-]{36})\.qcow2$/;
/** The machine's own uid passes through to the files it is given, and can neither list nor make any. */
const LAYERS_MODE = 0o711;

export class DiskDirectory {
  readonly diskId: string;
  readonly path: string;
  readonly #parent: string;
  readonly #beforeWrite: () => Promise<void>;

  /** @param beforeWrite throws when this process may not change disks any more */
  constructor(parent: string, diskId: string, beforeWrite: () => Promise<void> = async () => {}) {
    this.#parent = parent;
    this.#beforeWrite = beforeWrite;
    this.diskId = uuid.parse(diskId);
    this.path = join(parent, this.diskId);
  }

  get layersPath(): string {
    return join(this.path, "layers");
  }

  get snapshotsPath(): string {
    return join(this.path, "snapshots");
  }

  get checkpointsPath(): string {
    return join(this.path, "checkpoints");
  }

  get memoryBasePath(): string {
    return join(this.path, "memory-base");
  }

  layerPath(layerId: string): string {
    return join(this.layersPath, `${uuid.parse(layerId)}.qcow2`);
  }

  /** Durable with `sync`. */
  async create(): Promise<void> {
    await fileOps().makeDirectory(this.path, 0o700);
    await fileOps().makeDirectory(this.layersPath, 0o700);
    await chmod(this.layersPath, LAYERS_MODE);
  }

  /** Makes the directories, and names made in them, durable. */
  async sync(): Promise<void> {
    await syncDirectory(this.layersPath);
    await syncDirectory(this.path);
    await syncDirectory(this.#parent);
  }

  /** Of either format. @throws AtollError workspace.record_damaged, host.disk_failed */
  async readEpoch(): Promise<number> {
    return (await this.#readAny()).epoch;
  }

  /** @throws AtollError workspace.record_damaged, host.disk_failed; vm.start_failed for a record that was not migrated yet */
  async read(): Promise<DiskRecord> {
    const record = await this.#readAny();
    if (record.format === 2) return record;
    throw new AtollError("vm.start_failed", "the disk's record is of an older format");
  }

  async write(record: Omit<DiskRecord, "format">): Promise<void> {
    const text = JSON.stringify(diskRecord.parse({ ...record, format: 2 }));
    await this.#beforeWrite();
    await replaceFile(join(this.path, "disk.json"), text);
  }

  /** Durable. What was not given stays as it is. */
  async update(changes: Partial<Omit<DiskRecord, "format">>): Promise<DiskRecord> {
    const record: DiskRecord = { ...(await this.read()), ...changes };
    await this.write(record);
    return record;
  }

  /**
   * Durable. The higher of what is stored and what the caller knows is raised: neither may ever be used twice. From now on
   * the top counts as written to.
   */
  async raiseEpoch(known: number): Promise<number> {
    const { epoch } = await this.read();
    const raised = Math.max(epoch, known) + 1;
    await this.update({ epoch: raised, isTopEmpty: false, sameAs: null });
    return raised;
  }

  /**
   * A disk of one file becomes the lowest layer of its kind. A crash at any step leaves the old form or the new one: the
   * file has both names until the record says which counts.
   */
  async migrate(workspaceKey: Uint8Array): Promise<void> {
    const record = await this.#readAny();
    if (record.format === 2) return;
    const { epoch, imageKey, templateId } = record;
    await this.create();
    await this.sync();
    const layer = { layerId: this.diskId, key: deriveKey(workspaceKey, "disk") };
    try {
      await linkFile(this.#firstDiskPath, this.layerPath(layer.layerId));
      const layers = wrapLayers(workspaceKey, this.diskId, [layer]);
      await this.write({
        ...{ epoch, imageKey, templateId, layers },
        ...{ isTopEmpty: false, parentId: null, sameAs: null, isArchived: false, memoryBase: null },
      });
    } finally {
      layer.key.fill(0);
    }
    await removeDurably(this.#firstDiskPath);
  }

  /** From now on only read, by whoever may pass through to it. */
  async freeze(layerIds: readonly string[]): Promise<void> {
    for (const layerId of layerIds) {
      const path = this.layerPath(layerId);
      const { uid, mode } = await stat(path);
      const owner = process.getuid?.() ?? 0;
      if (uid !== owner) await chown(path, owner, process.getgid?.() ?? 0);
      if ((mode & 0o777) !== 0o444) await chmod(path, 0o444);
    }
  }

  /** Takes over frozen layers of another disk. Not durable before `syncLayers`. @throws AtollError checkpoint.damaged when one is gone */
  async link(from: DiskDirectory, layerIds: readonly string[], into = this.layersPath): Promise<void> {
    for (const layerId of layerIds) {
      const to = join(into, `${uuid.parse(layerId)}.qcow2`);
      const gone = (cause: unknown) =>
        new AtollError("checkpoint.damaged", `layer ${layerId} is gone`, { cause });
      await linkPresent(from.layerPath(layerId), to, gone);
    }
  }

  syncLayers(): Promise<void> {
    return syncDirectory(this.layersPath);
  }

  async layerIds(): Promise<string[]> {
    const names = await readdir(this.layersPath).catch(() => []);
    return names.flatMap((name) => LAYER_FILE.exec(name)?.[1] ?? []);
  }

  /** Layers that are not needed, and what a migration left behind. Repeatable. */
  async removeLayersExcept(needed: ReadonlySet<string>): Promise<void> {
    const unneeded = (await this.layerIds()).filter((layerId) => !needed.has(layerId));
    for (const layerId of unneeded) await fileOps().remove(this.layerPath(layerId));
    if (unneeded.length > 0) await this.syncLayers();
    if ((await this.isMigrated()) && (await isThere(this.#firstDiskPath)))
      await removeDurably(this.#firstDiskPath);
  }

  async isMigrated(): Promise<boolean> {
    return (await this.#readAny()).format === 2;
  }

  /** Once nothing is a difference to it. Durable, repeatable. */
  async dropMemoryBase(): Promise<void> {
    if ((await this.read()).memoryBase !== null) await this.update({ memoryBase: null });
    if (await isThere(this.memoryBasePath)) await removeDurably(this.memoryBasePath);
  }

  /** Another workspace, or a view, has one of its layers as well. */
  async isShared(): Promise<boolean> {
    for (const layerId of await this.layerIds()) {
      if ((await stat(this.layerPath(layerId))).nlink > 1) return true;
    }
    return false;
  }

  /** False once it is removed. */
  isThere(): Promise<boolean> {
    return isThere(this.path);
  }

  async remove(): Promise<void> {
    await removeDurably(this.path);
  }

  get #firstDiskPath(): string {
    return join(this.path, "disk.qcow2");
  }

  async #readAny() {
    try {
      return anyDiskRecord.parse(JSON.parse(await readFile(join(this.path, "disk.json"), "utf8")));
    } catch (cause) {
      const refused = diskError(cause);
      if (refused !== cause) throw refused;
      throw new AtollError("workspace.record_damaged", "the workspace's disk record cannot be read", {
        cause,
      });
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
