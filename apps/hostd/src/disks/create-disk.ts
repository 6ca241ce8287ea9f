import { randomBytes } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { syncFile } from "@atoll/durable/sync-file";
import { wipeFile } from "@atoll/durable/wipe-file";
import { hexText } from "../hypervisor/qemu/hex-text.ts";
import { jailPath } from "../hypervisor/qemu/jail.ts";
import { FILE_NAMES } from "../hypervisor/qemu/qemu-arguments.ts";
import { runTool } from "./run-tool.ts";

export interface CreateDiskOptions {
  /** Runs qemu-img on this machine. */
  qemuImgCommand: readonly string[];
  path: string;
  sizeMb: number;
  /** 32 random bytes. */
  key: Uint8Array;
  /** Memory-backed and private: the key lies here while qemu-img runs. */
  scratchDirectory: string;
  signal?: AbortSignal | undefined;
}

/**
 * An empty encrypted disk: qcow2 whose clusters and LUKS header are encrypted under `key`, over a backing file that is
 * given when it is opened. Costs 1.9 s, most of it qemu-img measuring how slow key derivation is.
 */
export async function createDisk(options: CreateDiskOptions): Promise<void> {
  const { path, scratchDirectory } = options;
  await mkdir(scratchDirectory, { recursive: true, mode: 0o700 });
  const keyPath = join(scratchDirectory, `new-disk-${randomBytes(8).toString("hex")}`);
  const text = hexText(options.key);
  try {
    await writeFile(keyPath, text, { mode: 0o600, flag: "wx" });
    await runTool(
      [
        ...options.qemuImgCommand,
        ...["create", "-q", "-f", "qcow2"],
        ...["--object", `secret,id=key,file=${keyPath},format=raw`],
        // Keys are random, stretching adds nothing; with the default, opening the disk would take seconds.
        ...["-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=1,lazy_refcounts=off"],
        // Only a name in the header: QEMU is told the whole graph when it opens the disk.
        ...["-u", "-F", "raw", "-b", jailPath(FILE_NAMES.backing)],
        ...[path, `${options.sizeMb}M`],
      ],
      options.signal,
    );
    await chmod(path, 0o600);
    await syncFile(path);
  } catch (error) {
    await fileOps().remove(path);
    throw error;
  } finally {
    text.fill(0);
    await wipeFile(keyPath);
  }
}
