import { AtollError } from "@atoll/protocol/atoll-error";
import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { giveSecrets } from "./give-secrets.ts";
import { freezeLayer } from "./layer-files.ts";
import { layerPath } from "./layer-path.ts";

/** Files, passphrases and block graph of `Machine.insertLayers`. The passphrases stay: each layer is opened once more. */
export async function insertLayers(
  graph: BlockGraph,
  record: MachineRecord,
  layers: readonly DiskLayer[],
  signal?: AbortSignal,
): Promise<void> {
  const layerIds = layers.map(({ layerId }) => layerId);
  const last = layerIds.at(-1);
  if (last === undefined) return;
  const [top, below] = await graph.layerIds(signal);
  if (top === undefined) throw new AtollError("vm.start_failed", "the machine has no layers");
  try {
    for (const layerId of layerIds) await freezeLayer(layerPath(record.pid, layerId));
    await giveSecrets(graph, record, layers);
    await graph.putBelowTop(layerIds, top, below);
  } catch (cause) {
    throw new AtollError("vm.start_failed", "the layers cannot be opened", { cause });
  }
  graph.activateSoon(last);
}
