import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { MachineSize } from "@atoll/protocol/plans";
import { EmptyLayers } from "../../disks/empty-layers.ts";
import { type Template, TemplateStore } from "../../templates/template-store.ts";
import { GuestProbe } from "../../testing/guest-probe.ts";
import type { Hypervisor, ImageFiles, LaunchSpec, Machine, MachineStart } from "../hypervisor.ts";
import { ContractDisk } from "./contract-disk.ts";

/** One driver and what it works with, for the contract's cases. */
export interface ContractDriver extends AsyncDisposable {
  /** Each call is another life of hostd over the same machines. */
  open(): Hypervisor;
  image: ImageFiles;
  size: MachineSize;
  /** Empty, for disks and the template. */
  directory: string;
  /** Of a whole test run: the contract's template is baked once for all. */
  sharedTemplatesDirectory: string | undefined;
  qemuImgCommand: readonly string[];
  scratchDirectory: string;
  /** A place for disks that can be filled. */
  openSmallPlace(): Promise<SmallPlace>;
  /** A place for disks whose device can be made to fail; undefined where this machine can give none. */
  openFailingPlace(): Promise<FailingPlace | undefined>;
}

/** Somewhere on the host with little room. */
export interface SmallPlace extends AsyncDisposable {
  directory: string;
  /** Not a byte is left. */
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** Somewhere on the host. */
export interface FailingPlace extends AsyncDisposable {
  directory: string;
  /** Every write is an I/O error from now on, for good. */
  fail(): Promise<void>;
}

/** Machines that begin from a template whose guest has counted to two, each on a disk of its own. */
export class ContractHost implements AsyncDisposable {
  readonly hypervisor: Hypervisor;
  readonly template: Template;
  readonly #driver: ContractDriver;
  readonly #emptyLayers: EmptyLayers;
  #launched = 0;

  private constructor(driver: ContractDriver, hypervisor: Hypervisor, template: Template) {
    const { directory, qemuImgCommand, scratchDirectory } = driver;
    this.hypervisor = hypervisor;
    this.template = template;
    this.#driver = driver;
    this.#emptyLayers = new EmptyLayers({
      directory: join(directory, "empty"),
      ...{ qemuImgCommand, scratchDirectory, signal: new AbortController().signal },
    });
  }

  static async open(driver: ContractDriver): Promise<ContractHost> {
    try {
      const hypervisor = driver.open();
      const templates = new TemplateStore({
        directory: join(driver.directory, "templates"),
        sharedDirectory: driver.sharedTemplatesDirectory,
        hypervisor,
        prepareGuest: countToTwo,
        signal: new AbortController().signal,
      });
      await templates.sweep();
      return new ContractHost(driver, hypervisor, await templates.provide(driver.image, driver.size));
    } catch (error) {
      await driver[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Another life of hostd on the same machine. */
  reopen(): Hypervisor {
    return this.#driver.open();
  }

  /** All but disk and start, under a machine id of its own. */
  base(): Omit<LaunchSpec, "disk" | "start"> {
    const { image, size } = this.#driver;
    return { machineId: `machine-${this.#launched++}`, image, size };
  }

  openSmallPlace(): Promise<SmallPlace> {
    return this.#driver.openSmallPlace();
  }

  openFailingPlace(): Promise<FailingPlace | undefined> {
    return this.#driver.openFailingPlace();
  }

  newDisk(directory = join(this.#driver.directory, "disks")): Promise<ContractDisk> {
    return ContractDisk.create({
      directory,
      backingPath: this.template.diskPath,
      sizeMb: this.#driver.size.diskMb,
      emptyLayers: this.#emptyLayers,
    });
  }

  launch(start: MachineStart, disk: ContractDisk, view?: ContractDisk): Promise<Machine> {
    return this.hypervisor.launch({
      ...this.base(),
      start,
      disk: disk.encrypted,
      ...(view === undefined ? {} : { view: view.encrypted }),
    });
  }

  /** A machine that goes on from the template. */
  async clone(disk?: ContractDisk, view?: ContractDisk): Promise<Machine> {
    return this.launch({ kind: "template", template: this.template }, disk ?? (await this.newDisk()), view);
  }

  startClone(machine: Machine, linkToken?: string): Promise<GuestProbe> {
    return GuestProbe.start(machine, {
      reason: "create",
      expectedToken: this.template.linkToken,
      linkToken,
    });
  }

  /** What the first `layerCount` layers of a disk hold, seen by another guest through its view. */
  async look(origin: ContractDisk, layerCount: number, keys: string[]): Promise<(string | undefined)[]> {
    const view = await ContractDisk.over(origin, origin.layers.slice(0, layerCount));
    await using machine = await this.clone(undefined, view);
    const guest = await this.startClone(machine);
    const seen: (string | undefined)[] = [];
    for (const key of keys) seen.push(await guest.readView(key));
    guest.close();
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver[Symbol.asyncDispose]();
  }
}

async function countToTwo(machine: Machine): Promise<{ linkToken: string }> {
  const linkToken = randomBytes(32).toString("hex");
  const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
  await guest.count();
  await guest.count();
  guest.close();
  return { linkToken };
}
