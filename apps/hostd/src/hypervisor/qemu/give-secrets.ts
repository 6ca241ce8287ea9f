import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { layerNodes } from "./block-nodes.ts";
import { JAIL_RUN } from "./jail.ts";
import { handOverKeys, wipeKeys } from "./layer-files.ts";

/** Lets a live machine open `layers`; their files are gone when this resolves, QEMU's copies stay until `forgetSecret`. */
export async function giveSecrets(
  graph: BlockGraph,
  { runDirectory, uid }: MachineRecord,
  layers: readonly DiskLayer[],
): Promise<void> {
  try {
    await handOverKeys(layers, "d", runDirectory, uid);
    const added = layers.map(({ layerId }) =>
      graph.addSecret(layerId, `${JAIL_RUN}/${layerNodes("d", layerId).keyFile}`),
    );
    // To the end: a file that is read later must not be gone before.
    await Promise.allSettled(added);
    await Promise.all(added);
  } finally {
    await wipeKeys(runDirectory);
  }
}
