/**
 * Empty layers made ahead, with keys that only this process knows, so that a fork or a checkpoint does not wait for a
 * header. What an earlier life made is of no use to anyone and removed.
 */
import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { makeDirectory } from "@atoll/durable/make-directory";
import { newKey } from "@atoll/keys/new-key";
import type { DiskLayer } from "../hypervisor/hypervisor.ts";
import { Shelf } from "../pool/shelf.ts";
import type { EmptyLayers } from "./empty-layers.ts";
import { wipeLayers } from "./layer-keys.ts";

export interface ReadyLayersOptions {
  /** On the file system of the disks. */
  directory: string;
  emptyLayers: EmptyLayers;
  /** Making one ahead failed; it is tried again at the next refill. */
  onFault: (error: unknown) => void;
}

export class ReadyLayers implements AsyncDisposable {
  readonly #options: ReadyLayersOptions;
  readonly #shelf: Shelf<{ sizeMb: number }, DiskLayer>;

  constructor(options: ReadyLayersOptions) {
    this.#options = options;
    const { directory, onFault } = options;
    this.#shelf = new Shelf({
      make: async ({ sizeMb }) => {
        await makeDirectory(directory);
        return this.#make(directory, sizeMb);
      },
      discard: async (layer) => {
        wipeLayers([layer]);
        await fileOps().remove(this.#path(directory, layer));
      },
      onFault,
    });
  }

  /**
   * An empty layer as a file in `directory`, its bytes durable; its name is with the next sync of the directory. The key
   * is the caller's to wipe.
   * @throws AtollError host.disk_full, host.disk_failed, vm.start_failed
   */
  async take(directory: string, sizeMb: number): Promise<DiskLayer> {
    const ready = this.#shelf.take(sizeMb);
    if (ready === undefined) return this.#make(directory, sizeMb);
    try {
      await fileOps().rename(this.#path(this.#options.directory, ready), this.#path(directory, ready));
      return ready;
    } catch {
      wipeLayers([ready]);
      return this.#make(directory, sizeMb);
    }
  }

  /** From now on keeps `target` of this size, beginning with the next refill. */
  keep(sizeMb: number, target: number): void {
    this.#shelf.keep(sizeMb, { sizeMb }, target);
  }

  /** Makes up for what was taken. The caller says when: it takes a core for milliseconds each. */
  refill(): void {
    this.#shelf.refill();
  }

  /** Resolves when every size is there or refilling has failed. */
  settled(): Promise<void> {
    return this.#shelf.settled();
  }

  /** Before anything is kept. */
  async sweep(): Promise<void> {
    const { directory } = this.#options;
    for (const name of await readdir(directory).catch(() => []))
      await fileOps().remove(join(directory, name));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#shelf[Symbol.asyncDispose]();
  }

  async #make(directory: string, sizeMb: number): Promise<DiskLayer> {
    const layer = { layerId: randomUUID(), key: newKey() };
    try {
      await this.#options.emptyLayers.make(this.#path(directory, layer), sizeMb, layer.key);
      return layer;
    } catch (error) {
      wipeLayers([layer]);
      throw error;
    }
  }

  #path(directory: string, { layerId }: DiskLayer): string {
    return join(directory, `${layerId}.qcow2`);
  }
}
