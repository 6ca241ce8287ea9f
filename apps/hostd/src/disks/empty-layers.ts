/** Empty encrypted layers: one is made by QEMU's tool per disk size, all others are that one under a key of their own. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createFile } from "@atoll/durable/create-file";
import { fileOps } from "@atoll/durable/file-ops";
import { makeDirectory } from "@atoll/durable/make-directory";
import { moveFile } from "@atoll/durable/move-file";
import { removeDurably } from "@atoll/durable/remove-durably";
import { AtollError } from "@atoll/protocol/atoll-error";
import { hexText } from "../hypervisor/qemu/hex-text.ts";
import { createDisk } from "./create-disk.ts";
import { diskError } from "./disk-error.ts";
import { rekeyLuksHeader } from "./luks-header.ts";

export interface EmptyLayersOptions {
  /** Keeps the one of each size; nothing in it is anyone's. */
  directory: string;
  qemuImgCommand: readonly string[];
  /** Memory-backed, private: a key lies here while qemu-img runs. */
  scratchDirectory: string;
  signal: AbortSignal;
}

/** A qcow2 in memory, without the zeroes at its end, and where in it the LUKS header lies. */
interface Mould {
  bytes: Buffer;
  headerAt: number;
  headerBytes: number;
}

const QCOW2_MAGIC = 0x514649fb;
const CLUSTER_BYTES = 64 * 1024;
const QCOW2_HEADER_LENGTH_AT = 100;
const LUKS_HEADER_EXTENSION = 0x0537be77;

export class EmptyLayers {
  readonly #options: EmptyLayersOptions;
  readonly #moulds = new Map<number, Promise<Mould>>();

  constructor(options: EmptyLayersOptions) {
    this.#options = options;
  }

  /**
   * A new empty layer at `path`, its bytes durable; its name is with the next sync of the directory.
   * @param key 32 random bytes, the caller's to wipe
   * @throws AtollError host.disk_full, host.disk_failed, vm.start_failed
   */
  async make(path: string, sizeMb: number, key: Uint8Array): Promise<void> {
    const mould = await this.#mould(sizeMb);
    const bytes = Buffer.from(mould.bytes);
    const passphrase = hexText(key);
    try {
      const header = Buffer.alloc(mould.headerBytes);
      bytes.copy(header, 0, mould.headerAt);
      await rekeyLuksHeader(header, passphrase);
      header.copy(bytes, mould.headerAt);
    } finally {
      passphrase.fill(0);
    }
    try {
      await using file = await createFile(path);
      await file.write(bytes);
      await file.sync();
    } catch (error) {
      await fileOps().remove(path);
      throw diskError(error);
    }
  }

  #mould(sizeMb: number): Promise<Mould> {
    let mould = this.#moulds.get(sizeMb);
    if (mould === undefined) {
      mould = this.#provide(sizeMb);
      mould.catch(() => this.#moulds.delete(sizeMb));
      this.#moulds.set(sizeMb, mould);
    }
    return mould;
  }

  async #provide(sizeMb: number): Promise<Mould> {
    const { directory, qemuImgCommand, scratchDirectory, signal } = this.#options;
    const path = join(directory, `${sizeMb}.qcow2`);
    const known = await readFile(path).catch(() => undefined);
    if (known !== undefined) {
      try {
        return readMould(known);
      } catch {
        await removeDurably(path);
      }
    }
    await makeDirectory(directory);
    const unfinished = `${path}.new`;
    await removeDurably(unfinished);
    const key = randomBytes(32);
    try {
      await createDisk({ qemuImgCommand, path: unfinished, sizeMb, key, scratchDirectory, signal });
    } finally {
      key.fill(0);
    }
    const mould = readMould(await readFile(unfinished));
    await moveFile(unfinished, path);
    return mould;
  }
}

/** @throws AtollError vm.start_failed when it is not an empty qcow2 with a LUKS header */
function readMould(file: Buffer): Mould {
  if (file.length < QCOW2_HEADER_LENGTH_AT + 4 || file.readUInt32BE(0) !== QCOW2_MAGIC) {
    throw new AtollError("vm.start_failed", "the empty disk is not a qcow2");
  }
  for (let at = file.readUInt32BE(QCOW2_HEADER_LENGTH_AT); at + 24 <= file.length; ) {
    const [kind, lengthBytes] = [file.readUInt32BE(at), file.readUInt32BE(at + 4)];
    if (kind === 0) break;
    if (kind === LUKS_HEADER_EXTENSION) {
      const headerAt = Number(file.readBigUInt64BE(at + 8));
      const headerBytes = Number(file.readBigUInt64BE(at + 16));
      if (headerAt + headerBytes > file.length) break;
      // Zeroes at the end need not be written: what lies behind the end of a qcow2 file reads as zeroes. Whole clusters
      // stay, for the last byte of the header made anew is only by chance a zero where this one's is.
      let end = file.length;
      while (end > headerAt && file[end - 1] === 0) end--;
      end = Math.min(Math.ceil(end / CLUSTER_BYTES) * CLUSTER_BYTES, file.length);
      return { bytes: Buffer.from(file.subarray(0, end)), headerAt, headerBytes };
    }
    at += 8 + Math.ceil(lengthBytes / 8) * 8;
  }
  throw new AtollError("vm.start_failed", "the empty disk has no LUKS header");
}
