/** A machine that is nobody's, with the frozen layers of somebody's disk as its view. */
import { randomUUID } from "node:crypto";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import type { LocalPoint } from "../checkpoints/local-point.ts";
import { wipeLayers } from "../disks/layer-keys.ts";
import type { DiskLayer, EncryptedDisk, Machine } from "../hypervisor/hypervisor.ts";
import type { PoolKind } from "../pool/machine-pool.ts";
import { loaded } from "./begin-from.ts";
import type { DiskLauncher } from "./disk-launcher.ts";

export interface ViewContext {
  launcher: DiskLauncher;
  /** What the viewing machine is a clone of. */
  kind: PoolKind;
  onFault: (error: unknown) => void;
}

/**
 * The keys of what it writes are kept nowhere: its own disk, and the layer over the view that takes the replay of the
 * journal. Both go, with the directory, when the process does; a directory that a crash leaves is named by nobody.
 */
export async function openView(
  { launcher, kind, onFault }: ViewContext,
  point: LocalPoint,
  signal: AbortSignal | undefined,
): Promise<{ machine: Machine; linkToken: string }> {
  const { template, image } = kind;
  const directory = launcher.directory(randomUUID());
  const viewPath = join(directory.path, "view");
  const origin = await launcher.templateOf(point.origin);
  const own: DiskLayer[] = [];
  const over: DiskLayer[] = [];
  try {
    await directory.create();
    await fileOps().makeDirectory(viewPath, 0o711);
    await chmod(viewPath, 0o711);
    await directory.link(point.origin.directory, point.layerIds, viewPath);
    own.push(await launcher.newLayer(directory, template.size.diskMb));
    over.push(await launcher.newLayer(directory, origin.size.diskMb, viewPath));
    const disk: EncryptedDisk = {
      ...{ kind: "encrypted", directory: directory.layersPath, layers: own, backingPath: template.diskPath },
    };
    const view: EncryptedDisk = {
      ...{ kind: "encrypted", directory: viewPath, layers: [...point.origin.layers, ...over] },
      backingPath: origin.diskPath,
    };
    const { diskId } = directory;
    const machine = await launcher.launch(disk, {
      ...{ diskId, imageKey: image.key, size: template.size, view, signal },
      start: { kind: "template", template },
    });
    void machine.exited.then(() => directory.remove()).catch(onFault);
    return { machine: await loaded(machine, signal), linkToken: template.linkToken };
  } catch (error) {
    await directory.remove();
    throw error;
  } finally {
    wipeLayers([...own, ...over]);
  }
}
