import { randomUUID } from "node:crypto";
import { constants, copyFile, link, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DiskLayer, EncryptedDisk } from "./hypervisor.ts";

export interface Seed {
  path: string;
  key: Uint8Array;
}

export interface ContractDisksOptions {
  /** Of all disks. */
  directory: string;
  backingPath: string;
  /** Empty layers under keys of their own: new layers take turns with them, so that a chain has several keys. */
  seeds: readonly [Seed, ...Seed[]];
}

/** One disk of the contract's cases, in a directory of its own. */
export class ContractDisk {
  readonly #options: ContractDisksOptions;
  readonly directory: string;
  layers: DiskLayer[] = [];
  #made = 0;

  private constructor(options: ContractDisksOptions) {
    this.#options = options;
    this.directory = join(options.directory, randomUUID());
  }

  static async create(options: ContractDisksOptions): Promise<ContractDisk> {
    const disk = new ContractDisk(options);
    await mkdir(disk.directory, { recursive: true, mode: 0o700 });
    disk.layers.push(await disk.newLayer());
    return disk;
  }

  /** Over the same layers as files, with an empty top of its own. */
  static async over(origin: ContractDisk, layers: readonly DiskLayer[]): Promise<ContractDisk> {
    const disk = new ContractDisk(origin.#options);
    await mkdir(disk.directory, { recursive: true, mode: 0o700 });
    for (const { layerId } of layers) await link(origin.#path(layerId), disk.#path(layerId));
    disk.layers = [...layers, await disk.newLayer()];
    return disk;
  }

  /** An empty layer whose file lies there and that belongs to no chain yet. */
  async newLayer(): Promise<DiskLayer> {
    const { seeds } = this.#options;
    const seed = seeds[this.#made++ % seeds.length] ?? seeds[0];
    const layerId = randomUUID();
    await copyFile(seed.path, this.#path(layerId), constants.COPYFILE_EXCL);
    return { layerId, key: Uint8Array.from(seed.key) };
  }

  /** Only the top is left, and what was below it does not exist any more. */
  async keepTop(): Promise<void> {
    for (const { layerId } of this.layers.slice(0, -1)) await rm(this.#path(layerId));
    this.layers = this.layers.slice(-1);
  }

  get encrypted(): EncryptedDisk {
    const { directory } = this;
    return { kind: "encrypted", directory, layers: this.layers, backingPath: this.#options.backingPath };
  }

  #path(layerId: string): string {
    return join(this.directory, `${layerId}.qcow2`);
  }
}
