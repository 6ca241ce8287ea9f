import { deriveKey } from "@atoll/keys/derive-key";
import { copySecret } from "@atoll/keys/secret-bytes";
import { unwrapKey, wrapKey } from "@atoll/keys/wrap-key";
import type { DiskLayer } from "../hypervisor/hypervisor.ts";
import type { LayerRecord } from "./disk-record.ts";

/** Bound to disk and layer, so that no record can be moved to another place and still open. */
const contextOf = (diskId: string, layerId: string) => `atoll layer key 1 ${diskId} ${layerId}`;

export function wrapLayers(
  workspaceKey: Uint8Array,
  diskId: string,
  layers: readonly DiskLayer[],
): LayerRecord[] {
  const wrapping = deriveKey(workspaceKey, "layer-wrap");
  try {
    return layers.map(({ layerId, key }) => ({
      layerId,
      key: wrapKey(wrapping, key, contextOf(diskId, layerId)),
    }));
  } finally {
    wrapping.fill(0);
  }
}

/** The caller wipes the keys. @throws AtollError key.not_found when one was wrapped for something else */
export function unwrapLayers(
  workspaceKey: Uint8Array,
  diskId: string,
  records: readonly LayerRecord[],
): DiskLayer[] {
  const wrapping = deriveKey(workspaceKey, "layer-wrap");
  const layers: DiskLayer[] = [];
  try {
    for (const { layerId, key } of records) {
      layers.push({ layerId, key: unwrapKey(wrapping, key, contextOf(diskId, layerId)) });
    }
    return layers;
  } catch (error) {
    wipeLayers(layers);
    throw error;
  } finally {
    wrapping.fill(0);
  }
}

/** With keys of their own, the caller's to wipe. */
export function copyLayers(layers: readonly DiskLayer[]): DiskLayer[] {
  return layers.map(({ layerId, key }) => ({ layerId, key: copySecret(key) }));
}

export function wipeLayers(layers: readonly DiskLayer[]): void {
  for (const { key } of layers) key.fill(0);
}
