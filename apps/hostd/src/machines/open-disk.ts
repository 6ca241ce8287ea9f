import type { DiskDirectory } from "../disks/disk-directory.ts";
import type { DiskRecord } from "../disks/disk-record.ts";
import { wipeLayers, wrapLayers } from "../disks/layer-keys.ts";
import type { DiskLayer, EncryptedDisk } from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";

/** A workspace's disk with its keys unwrapped, for the time of one operation. Disposing wipes them. */
export class OpenDisk implements Disposable {
  readonly directory: DiskDirectory;
  readonly template: Template;
  readonly workspaceKey: Uint8Array;
  record: DiskRecord;
  /** Bottom first, as in the record. */
  readonly layers: DiskLayer[];

  constructor(options: {
    directory: DiskDirectory;
    template: Template;
    workspaceKey: Uint8Array;
    record: DiskRecord;
    layers: DiskLayer[];
  }) {
    this.directory = options.directory;
    this.template = options.template;
    this.workspaceKey = options.workspaceKey;
    this.record = options.record;
    this.layers = options.layers;
  }

  get top(): DiskLayer {
    return this.layers.at(-1) as DiskLayer;
  }

  get encrypted(): EncryptedDisk {
    const { directory, layers, template } = this;
    return { kind: "encrypted", directory: directory.layersPath, layers, backingPath: template.diskPath };
  }

  /** The disk goes on in `layer`, whose file is there. Durable. */
  async push(layer: DiskLayer, changes: Partial<Pick<DiskRecord, "isTopEmpty">>): Promise<void> {
    const { directory, record, workspaceKey } = this;
    this.layers.push(layer);
    const layers = [...record.layers, ...wrapLayers(workspaceKey, directory.diskId, [layer])];
    this.record = await directory.update({ ...changes, layers });
  }

  [Symbol.dispose](): void {
    this.workspaceKey.fill(0);
    wipeLayers(this.layers);
  }
}
