import { randomBytes, randomUUID } from "node:crypto";
import { link, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { EmptyLayers } from "../../disks/empty-layers.ts";
import type { GuestProbe } from "../../testing/guest-probe.ts";
import type { DiskLayer, EncryptedDisk, Machine } from "../hypervisor.ts";

export interface ContractDiskOptions {
  /** Of all disks. */
  directory: string;
  backingPath: string;
  sizeMb: number;
  emptyLayers: EmptyLayers;
}

/** One disk of the contract's cases, in a directory of its own, each layer under a key of its own. */
export class ContractDisk {
  readonly #options: ContractDiskOptions;
  readonly directory: string;
  layers: DiskLayer[] = [];

  private constructor(options: ContractDiskOptions) {
    this.#options = options;
    this.directory = join(options.directory, randomUUID());
  }

  static async create(options: ContractDiskOptions): Promise<ContractDisk> {
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

  /** Another disk's layer, right below the top. */
  async take(from: ContractDisk, layer: DiskLayer): Promise<void> {
    await link(from.#path(layer.layerId), this.#path(layer.layerId));
    this.layers.splice(-1, 0, layer);
  }

  /** An empty layer whose file lies there and that belongs to no chain yet. */
  async newLayer(): Promise<DiskLayer> {
    const { emptyLayers, sizeMb } = this.#options;
    const layer = { layerId: randomUUID(), key: randomBytes(32) };
    await emptyLayers.make(this.#path(layer.layerId), sizeMb, layer.key);
    return layer;
  }

  /** An empty layer on top of the chain, for a machine to switch to. */
  async addLayer(): Promise<DiskLayer> {
    const layer = await this.newLayer();
    this.layers.push(layer);
    return layer;
  }

  /** Stops the quiesced guest and lets writes go to a new layer. */
  async stopAndSwitch(machine: Machine, guest: GuestProbe): Promise<void> {
    await guest.quiesce();
    await machine.stop();
    await machine.switchLayer(await this.addLayer());
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
