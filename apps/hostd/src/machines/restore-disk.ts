import { AtollError } from "@atoll/protocol/atoll-error";
import type { LocalPoint } from "../checkpoints/local-point.ts";
import { wipeLayers, wrapLayers } from "../disks/layer-keys.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { DiskUpkeep } from "./disk-upkeep.ts";
import type { OpenDisk } from "./open-disk.ts";

/**
 * Puts a checkpoint's layers under a new top of this disk, in the disk's turn.
 * @param epoch the least the disk has
 * @returns the disk's epoch from here on; no snapshot fits it
 * @throws AtollError checkpoint.damaged
 */
export async function restoreDisk(
  { disks, upkeep }: { disks: DiskLauncher; upkeep: DiskUpkeep },
  { directory, template, workspaceKey, record }: OpenDisk,
  { origin }: LocalPoint,
  { checkpointId, epoch: known }: { checkpointId: string; epoch: number },
): Promise<number> {
  const { layers, imageKey, templateId } = origin;
  if (imageKey !== record.imageKey || templateId !== record.templateId) {
    throw new AtollError("checkpoint.damaged", "the checkpoint is of another disk");
  }
  const top = await disks.newLayer(directory, template.size.diskMb);
  try {
    await directory.syncLayers();
    const epoch = Math.max(record.epoch, known) + 1;
    await directory.update({
      ...{ epoch, isTopEmpty: true, parentId: checkpointId, sameAs: checkpointId },
      layers: wrapLayers(workspaceKey, directory.diskId, [...layers, top]),
    });
    await upkeep.removeUnneeded(directory);
    return epoch;
  } finally {
    wipeLayers([top]);
  }
}
