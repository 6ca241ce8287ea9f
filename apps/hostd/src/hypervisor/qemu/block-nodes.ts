/** Names of a machine's block nodes. A layer's name carries its id, so that the graph of a machine found alive explains itself. */

/** `d`: the user's disk. `v`: the disk looked into. */
export type ChainName = "d" | "v";

export interface LayerNodes {
  /** The decrypted qcow2. */
  layer: string;
  file: string;
  /** Id of the secret object with the passphrase. */
  secret: string;
  /** Name of the passphrase's file in the run directory. */
  keyFile: string;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LAYER_NODE = /^d-([0-9A-Za-z_-]{22})$/;

export const KEY_FILE_PREFIX = "key-";
/** The template's disk, below all layers. */
export const backingNode = (chain: ChainName) => `${chain}-backing`;

/** Node names have at most 31 characters, so the id is written in base64. */
export function layerNodes(chain: ChainName, layerId: string): LayerNodes {
  if (!UUID.test(layerId)) throw new RangeError("a layer's id is no UUID");
  const code = Buffer.from(layerId.replaceAll("-", ""), "hex").toString("base64url");
  return {
    layer: `${chain}-${code}`,
    file: `${chain}f-${code}`,
    secret: `${chain}k-${code}`,
    keyFile: `${KEY_FILE_PREFIX}${chain}-${code}`,
  };
}

/** Undefined for any other node. */
export function layerIdOf(node: string): string | undefined {
  const code = LAYER_NODE.exec(node)?.[1];
  if (code === undefined) return undefined;
  const hex = Buffer.from(code, "base64url").toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
