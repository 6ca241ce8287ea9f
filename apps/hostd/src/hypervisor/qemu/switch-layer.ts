import { AtollError } from "@atoll/protocol/atoll-error";
import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { giveSecrets } from "./give-secrets.ts";
import { claimLayer, freezeLayer } from "./layer-files.ts";
import { layerPath } from "./layer-path.ts";

/** Files, passphrase and block graph of `Machine.switchLayer`, for a machine whose vCPUs stand still. */
export async function switchLayer(
  graph: BlockGraph,
  record: MachineRecord,
  layer: DiskLayer,
  signal?: AbortSignal,
): Promise<void> {
  const { pid, uid } = record;
  const { layerId } = layer;
  // Asked at once: vCPUs stand still for all of this.
  const [[below, ...lower], openLayers] = await Promise.all([
    graph.layerIds(signal),
    graph.openLayerIds(signal),
    graph.cancelFlatten(),
  ]);
  if (below === undefined) throw new AtollError("vm.monitor_failed", "the machine has no layers");
  if (below === layerId) {
    for (const id of lower) await freezeLayer(layerPath(pid, id));
    return;
  }
  if (!openLayers.includes(layerId)) await open(graph, record, layer);
  // QEMU opens it again for reading alone, and it may belong to another uid by now; one that a flattening reopened is
  // opened for writing once more before that.
  await claimLayer(layerPath(pid, below), uid);
  // Not to be given up half-way: it takes milliseconds.
  await graph.putOnTop(layerId, below);
  await freezeLayer(layerPath(pid, below));
}

/** Of `Machine.readyLayer`. */
export async function readyLayer(
  graph: BlockGraph,
  record: MachineRecord,
  layer: DiskLayer,
  signal?: AbortSignal,
): Promise<void> {
  if (!(await graph.openLayerIds(signal)).includes(layer.layerId)) await open(graph, record, layer);
}

async function open(graph: BlockGraph, record: MachineRecord, layer: DiskLayer): Promise<void> {
  const { layerId } = layer;
  try {
    await claimLayer(layerPath(record.pid, layerId), record.uid);
  } catch (cause) {
    throw new AtollError("vm.monitor_failed", "the new layer cannot be opened", { cause });
  }
  await giveSecrets(graph, record, [layer]);
  try {
    await graph.openLayer(layerId);
  } finally {
    await graph.forgetSecret(layerId);
  }
}
