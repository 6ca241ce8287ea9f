import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { layerNodes } from "./block-nodes.ts";
import { JAIL_RUN } from "./jail.ts";
import { handOverKeys, wipeKeys } from "./layer-files.ts";

/** Lets a live machine open `layer`; its file is gone when this resolves, QEMU's copy stays until `forgetSecret`. */
export async function giveSecret(
  graph: BlockGraph,
  { runDirectory, uid }: MachineRecord,
  layer: DiskLayer,
): Promise<void> {
  const { layerId } = layer;
  try {
    await handOverKeys({ layers: [layer] }, "d", runDirectory, uid);
    await graph.addSecret(layerId, `${JAIL_RUN}/${layerNodes("d", layerId).keyFile}`);
  } finally {
    await wipeKeys(runDirectory);
  }
}
