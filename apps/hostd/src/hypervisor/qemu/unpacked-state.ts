/** A saved state as files that any number of machines begin from: `ram`, sparse; `devices`; `pages`, which of the RAM it holds. */
import { ftruncateSync, writeSync } from "node:fs";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { UnpackedState } from "../hypervisor.ts";
import { PAGE_BYTES, type PageRun } from "./guest-memory.ts";
import { writePageRuns } from "./page-runs.ts";
import { readSavedState } from "./saved-state.ts";

export const UNPACKED_FILES = { ram: "ram", devices: "devices", pages: "pages" } as const;

/** Read by every machine's own uid through a bind mount, written by nobody. */
const MODE = 0o444;

export interface UnpackedPlace {
  baseId: string;
  /** Memory-backed; made here, and entered by nobody but us. */
  directory: string;
  memoryMb: number;
  onGone: () => void;
}

export class QemuUnpackedState implements UnpackedState {
  readonly baseId: string;
  readonly directory: string;
  readonly #onGone: () => void;

  private constructor({ baseId, directory, onGone }: UnpackedPlace) {
    this.baseId = baseId;
    this.directory = directory;
    this.#onGone = onGone;
  }

  get devicesPath(): string {
    return join(this.directory, UNPACKED_FILES.devices);
  }

  /** Nothing of it stays when it fails. @throws AtollError snapshot.invalid, host.full, or what the stream threw */
  static async write(
    place: UnpackedPlace,
    state: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<QemuUnpackedState> {
    const { directory, memoryMb, onGone } = place;
    const at = (name: keyof typeof UNPACKED_FILES) => join(directory, UNPACKED_FILES[name]);
    const runs: PageRun[] = [];
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await using ram = await open(at("ram"), "wx", MODE);
      ftruncateSync(ram.fd, memoryMb * 1024 * 1024);
      await readSavedState(state, {
        onDevices: (bytes) => writeFile(at("devices"), bytes, { mode: MODE, flag: "wx" }),
        onPages: (first, bytes) => {
          signal?.throwIfAborted();
          const count = bytes.length / PAGE_BYTES;
          if ((first + count) * PAGE_BYTES > memoryMb * 1024 * 1024)
            throw new AtollError("snapshot.invalid", `page ${first} lies behind the end of the RAM`);
          for (let done = 0; done < bytes.length; )
            done += writeSync(ram.fd, bytes, done, bytes.length - done, first * PAGE_BYTES + done);
          runs.push({ first, count });
        },
      });
      await writeFile(at("pages"), writePageRuns(runs), { mode: MODE, flag: "wx" });
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      onGone();
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      throw new AtollError("host.full", "no memory to unpack a state into", {
        cause: error,
        details: { resource: "memory" },
      });
    }
    return new QemuUnpackedState(place);
  }

  /** Machines that began from it have their own names of what they need. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    this.#onGone();
  }
}
