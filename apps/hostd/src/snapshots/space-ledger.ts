import { statfs } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { SpaceReservation } from "../machines/machine-source.ts";

/** Left free beside snapshots: the journal, the disks of running machines and the key store need room to go on. */
const RESERVE_BYTES = 256 * 1024 * 1024;
/** A guest changes more until it stands still, and devices come along. */
const SEAL_MARGIN = 1.25;
const SEAL_MARGIN_BYTES = 64 * 1024 * 1024;

export interface SpaceLedgerOptions {
  /** On the file system that snapshots are written to; it exists. */
  directory: string;
  /** A parameter so that tests need no full disk. */
  freeBytes?: () => Promise<number>;
}

/** Promises room on the host's disk, each byte once. */
export class SpaceLedger {
  readonly #freeBytes: () => Promise<number>;
  #promisedBytes = 0;

  constructor({ directory, freeBytes }: SpaceLedgerOptions) {
    this.#freeBytes =
      freeBytes ??
      (async () => {
        const { bavail, bsize } = await statfs(directory);
        return bavail * bsize;
      });
  }

  /** Held until it is disposed of. @throws AtollError host.disk_full */
  async reserve(bytes: number): Promise<SpaceReservation> {
    // Taken before the first await: two at once must not both see the last room.
    this.#promisedBytes += bytes;
    let isHeld = true;
    const release = () => {
      if (isHeld) this.#promisedBytes -= bytes;
      isHeld = false;
    };
    try {
      const freeBytes = await this.#freeBytes();
      const neededBytes = this.#promisedBytes + RESERVE_BYTES;
      if (freeBytes < neededBytes) {
        throw new AtollError("host.disk_full", undefined, { details: { neededBytes, freeBytes } });
      }
    } catch (error) {
      release();
      throw error;
    }
    return { bytes, [Symbol.dispose]: release };
  }
}

/** What sealing a machine may come to take. @param changedBytes of its RAM by now */
export function sealedMaxBytes(changedBytes: number, memoryMb: number): number {
  return Math.min(changedBytes * SEAL_MARGIN, memoryMb * 1024 * 1024) + SEAL_MARGIN_BYTES;
}
