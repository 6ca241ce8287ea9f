import { AtollError } from "@atoll/protocol/atoll-error";
import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { giveSecret } from "./give-secret.ts";
import { freezeLayer } from "./layer-files.ts";
import { layerPath } from "./layer-path.ts";

/** Files, passphrase and block graph of `Machine.insertLayer`. The passphrase stays: loading opens the layer once more. */
export async function insertLayer(
  graph: BlockGraph,
  record: MachineRecord,
  layer: DiskLayer,
  signal?: AbortSignal,
): Promise<void> {
  const { layerId } = layer;
  const [top, below] = await graph.layerIds(signal);
  if (top === undefined) throw new AtollError("vm.start_failed", "the machine has no layers");
  try {
    await freezeLayer(layerPath(record.pid, layerId));
    await giveSecret(graph, record, layer);
    await graph.putBelowTop(layerId, top, below);
  } catch (cause) {
    throw new AtollError("vm.start_failed", "the layer cannot be opened", { cause });
  }
}
