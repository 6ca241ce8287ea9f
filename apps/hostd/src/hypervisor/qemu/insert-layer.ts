import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { layerNodes } from "./block-nodes.ts";
import { JAIL_RUN, jailPath } from "./jail.ts";
import { freezeLayer, handOverKeys, layerFileName, wipeKeys } from "./layer-files.ts";
import { FILE_NAMES } from "./qemu-arguments.ts";

/** Files, passphrase and block graph of `Machine.insertLayer`. The passphrase stays: loading opens the layer once more. */
export async function insertLayer(
  graph: BlockGraph,
  { pid, runDirectory, uid }: MachineRecord,
  layer: DiskLayer,
  signal?: AbortSignal,
): Promise<void> {
  const { layerId } = layer;
  const [top, below] = await graph.layerIds(signal);
  if (top === undefined) throw new AtollError("vm.start_failed", "the machine has no layers");
  try {
    await freezeLayer(join(`/proc/${pid}/root`, jailPath(FILE_NAMES.layers), layerFileName(layerId)));
    try {
      await handOverKeys({ layers: [layer] }, "d", runDirectory, uid);
      await graph.addSecret(layerId, `${JAIL_RUN}/${layerNodes("d", layerId).keyFile}`);
    } finally {
      await wipeKeys(runDirectory);
    }
    await graph.putBelowTop(layerId, top, below);
  } catch (cause) {
    throw new AtollError("vm.start_failed", "the layer cannot be opened", { cause });
  }
}
