/**
 * Who may do what with a disk's files. A machine's uid may enter the directory of its layers but neither list nor change
 * it; it may write the layer on top and read the ones below. The jail shows a machine its own disk's directory only.
 */
import { chmod, chown, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { wipeFile } from "@atoll/durable/wipe-file";
import type { EncryptedDisk } from "../hypervisor.ts";
import { type ChainName, KEY_FILE_PREFIX, layerNodes } from "./block-nodes.ts";
import { hexText } from "./hex-text.ts";

const DIRECTORY_MODE = 0o711;
const TOP_MODE = 0o600;
const FROZEN_MODE = 0o444;

export const layerFileName = (layerId: string) => `${layerId}.qcow2`;

/** Before the machine starts. */
export async function claimDisk({ directory, layers }: EncryptedDisk, uid: number): Promise<void> {
  await own(directory, ourUid(), DIRECTORY_MODE);
  for (const [index, { layerId }] of layers.entries()) {
    const path = join(directory, layerFileName(layerId));
    if (index === layers.length - 1) await claimLayer(path, uid);
    else await freezeLayer(path);
  }
}

export function claimLayer(path: string, uid: number): Promise<void> {
  return own(path, uid, TOP_MODE);
}

/** A descriptor that is open for writing stays so; QEMU gives up its own when the layer is no longer the top. */
export function freezeLayer(path: string): Promise<void> {
  return own(path, ourUid(), FROZEN_MODE);
}

/** Passphrases on their way into QEMU. @param runDirectory memory-backed, for nobody but us and `uid` */
export async function handOverKeys(
  layers: EncryptedDisk["layers"],
  chain: ChainName,
  runDirectory: string,
  uid: number,
): Promise<void> {
  for (const { layerId, key } of layers) {
    const text = hexText(key);
    try {
      const path = join(runDirectory, layerNodes(chain, layerId).keyFile);
      await writeFile(path, text, { mode: 0o600, flag: "wx" });
      await chown(path, uid, uid);
    } finally {
      text.fill(0);
    }
  }
}

/** Every passphrase that lies in a run directory; one that does not exist has none. */
export async function wipeKeys(runDirectory: string): Promise<void> {
  const names = await readdir(runDirectory).catch(() => []);
  for (const name of names) if (name.startsWith(KEY_FILE_PREFIX)) await wipeFile(join(runDirectory, name));
}

async function own(path: string, uid: number, mode: number): Promise<void> {
  const found = await stat(path);
  if (found.uid !== uid || found.gid !== uid) await chown(path, uid, uid);
  if ((found.mode & 0o7777) !== mode) await chmod(path, mode);
}

function ourUid(): number {
  return process.getuid?.() ?? 0;
}
