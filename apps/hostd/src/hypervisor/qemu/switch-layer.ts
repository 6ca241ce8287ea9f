import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { DiskLayer, MachineRecord } from "../hypervisor.ts";
import type { BlockGraph } from "./block-graph.ts";
import { layerNodes } from "./block-nodes.ts";
import { JAIL_RUN, jailPath } from "./jail.ts";
import { claimLayer, freezeLayer, handOverKeys, layerFileName, wipeKeys } from "./layer-files.ts";
import { FILE_NAMES } from "./qemu-arguments.ts";

/** As the machine itself sees it: found without knowing where its disk lies. */
const pathOf = (pid: number, layerId: string) =>
  join(`/proc/${pid}/root`, jailPath(FILE_NAMES.layers), layerFileName(layerId));

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
    for (const id of lower) await freezeLayer(pathOf(pid, id));
    return;
  }
  if (!openLayers.includes(layerId)) await open(graph, record, layer);
  // QEMU opens it again for reading alone, and it may belong to another uid by now; one that a flattening reopened is
  // opened for writing once more before that.
  await claimLayer(pathOf(pid, below), uid);
  // Not to be given up half-way: it takes milliseconds.
  await graph.putOnTop(layerId, below);
  await freezeLayer(pathOf(pid, below));
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

async function open(
  graph: BlockGraph,
  { pid, runDirectory, uid }: MachineRecord,
  layer: DiskLayer,
): Promise<void> {
  const { layerId } = layer;
  try {
    await claimLayer(pathOf(pid, layerId), uid);
  } catch (cause) {
    throw new AtollError("vm.monitor_failed", "the new layer cannot be opened", { cause });
  }
  try {
    await handOverKeys({ layers: [layer] }, "d", runDirectory, uid);
    await graph.addSecret(layerId, `${JAIL_RUN}/${layerNodes("d", layerId).keyFile}`);
  } finally {
    await wipeKeys(runDirectory);
  }
  try {
    await graph.openLayer(layerId);
  } finally {
    await graph.forgetSecret(layerId);
  }
}
