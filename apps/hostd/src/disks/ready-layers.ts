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
import type { EmptyLayers } from "./empty-layers.ts";
import { wipeLayers } from "./layer-keys.ts";

export interface ReadyLayersOptions {
  /** On the file system of the disks. */
  directory: string;
  emptyLayers: EmptyLayers;
  /** Making one ahead failed; it is tried again at the next refill. */
  onFault: (error: unknown) => void;
}

interface Shelf {
  sizeMb: number;
  target: number;
  ready: DiskLayer[];
}

export class ReadyLayers implements AsyncDisposable {
  readonly #options: ReadyLayersOptions;
  readonly #shelves = new Map<number, Shelf>();
  #refilling: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ReadyLayersOptions) {
    this.#options = options;
  }

  /**
   * An empty layer as a file in `directory`, its bytes durable; its name is with the next sync of the directory. The key
   * is the caller's to wipe.
   * @throws AtollError host.disk_full, host.disk_failed, vm.start_failed
   */
  async take(directory: string, sizeMb: number): Promise<DiskLayer> {
    const ready = this.#shelves.get(sizeMb)?.ready.shift();
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
    const shelf = this.#shelves.get(sizeMb);
    if (shelf === undefined) this.#shelves.set(sizeMb, { sizeMb, target, ready: [] });
    else shelf.target = Math.max(shelf.target, target);
  }

  /** Makes up for what was taken. The caller says when: it takes a core for 50 ms each. */
  refill(): void {
    if (this.#isClosed || this.#refilling !== undefined) return;
    this.#refilling = this.#fill().finally(() => {
      this.#refilling = undefined;
    });
  }

  /** Resolves when every shelf is full or refilling has failed. */
  async settled(): Promise<void> {
    await this.#refilling;
  }

  /** Before anything is kept. */
  async sweep(): Promise<void> {
    const { directory } = this.#options;
    for (const name of await readdir(directory).catch(() => []))
      await fileOps().remove(join(directory, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#refilling;
    for (const { ready } of this.#shelves.values()) {
      wipeLayers(ready);
      for (const layer of ready) await fileOps().remove(this.#path(this.#options.directory, layer));
    }
    this.#shelves.clear();
  }

  async #fill(): Promise<void> {
    const { directory, onFault } = this.#options;
    try {
      await makeDirectory(directory);
      for (;;) {
        const shelf = [...this.#shelves.values()].find(({ target, ready }) => ready.length < target);
        if (shelf === undefined || this.#isClosed) return;
        shelf.ready.push(await this.#make(directory, shelf.sizeMb));
      }
    } catch (error) {
      onFault(error);
    }
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
