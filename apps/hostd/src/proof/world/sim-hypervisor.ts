/**
 * The hypervisor port over a simulated host: each of its calls is a step of the life that makes it.
 * Length: a whole driver, call by call.
 */
import { statSync, writeFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { AtollError } from "@atoll/protocol/atoll-error";
import { bytesOf, copyAll, joinBytes, savedBytes, UnpackedBytes } from "../../hypervisor/fake/start-bytes.ts";
import {
  baseOf,
  type DiskLayer,
  type EncryptedDisk,
  type Hypervisor,
  type LaunchSpec,
  type Machine,
  type MachineExit,
  type MachineRecord,
  type MachineStart,
  type SaveOptions,
  templateOf,
  type UnpackedState,
  type UnpackOptions,
} from "../../hypervisor/hypervisor.ts";
import { appendWord, readLayer } from "./layer-file.ts";
import type { SimHost } from "./sim-host.ts";
import { type SavedState, SimMachine, savedState } from "./sim-machine.ts";
import type { Life } from "./sim-world.ts";

/** As the monitor's deadline: a process that does not answer is reported, not waited for. */
const MONITOR_TIMEOUT_MS = 30_000;

export class SimHypervisor implements Hypervisor {
  readonly isolation = "emulated";
  readonly fingerprint: string;
  readonly #host: SimHost;
  readonly #life: Life;
  readonly #mine = new Set<number>();

  constructor(host: SimHost, life: Life, fingerprint: string) {
    this.#host = host;
    this.#life = life;
    this.fingerprint = fingerprint;
  }

  launch(spec: LaunchSpec): Promise<Machine> {
    return this.#life.world.step(this.#life, `launch ${spec.machineId}`, () => {
      spec.signal?.throwIfAborted();
      const disk = spec.disk.kind === "encrypted" ? layered(spec.disk) : spec.disk;
      if (disk.kind === "raw") statSync(disk.path);
      else for (const { layerId, key } of disk.layers) readLayer(`${disk.directory}/${layerId}.qcow2`, key);
      const host = this.#host;
      const pid = host.nextPid++;
      const record: MachineRecord = {
        machineId: spec.machineId,
        runDirectory: `/sim/${spec.machineId}`,
        pid,
        startTicks: `${pid}`,
        hostBootId: "sim",
        uid: pid,
        templateId: templateOf(spec.start)?.templateId ?? null,
        baseId: baseOf(spec.start)?.baseId ?? null,
        baseRamPath: "/sim/ram",
        basePagesPath: null,
        isBooted: spec.start.kind === "boot",
        fingerprint: this.fingerprint,
      };
      const machine = new SimMachine(host, record, { disk, view: spec.view, version: this.fingerprint });
      host.machines.set(pid, machine);
      host.checkLaunch(machine);
      this.#mine.add(pid);
      return this.#handle(machine, spec.start);
    });
  }

  adopt(record: MachineRecord): Promise<Machine | undefined> {
    return this.#life.world.step(this.#life, `adopt ${record.machineId}`, () => {
      const machine = this.#host.machines.get(record.pid);
      if (machine === undefined || machine.record.startTicks !== record.startTicks) return undefined;
      if (machine.hasOtherMonitor(this.#life)) {
        // As QEMU's monitor, which serves one connection: that of a hostd that stands still is never given up.
        machine.end({ reason: "killed", detail: "its monitor is another's" });
        return undefined;
      }
      this.#mine.add(record.pid);
      return this.#handle(machine, undefined);
    });
  }

  async flattenDisk(disk: EncryptedDisk): Promise<void> {
    await this.#life.world.step(this.#life, "flattenDisk", () => {
      const { directory, layers } = layered(disk);
      flattenInto(directory, layers);
    });
  }

  async unpack(state: AsyncIterable<Uint8Array>, { baseId }: UnpackOptions): Promise<UnpackedState> {
    const bytes = await copyAll(state);
    return this.#life.world.step(this.#life, "unpack", () => new UnpackedBytes(baseId, bytes));
  }

  joinStates(base: AsyncIterable<Uint8Array>, over: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return joinBytes(base, over);
  }

  async letGo(): Promise<void> {
    this.#mine.clear();
  }

  reap(isSpared: (machineId: string) => boolean = () => false): Promise<void> {
    return this.#life.world.step(this.#life, "reap", () => {
      for (const [pid, machine] of this.#host.machines) {
        if (!this.#mine.has(pid) && !isSpared(machine.record.machineId))
          machine.end({ reason: "killed", detail: "reaped" });
      }
    });
  }

  #handle(machine: SimMachine, start: MachineStart | undefined): Machine {
    const handle = new SimHandle(this.#life, machine, start);
    machine.monitorOwner = this.#life;
    this.#life.atDeath.push(() => machine.dropLink(this.#life));
    return handle;
  }
}

class SimHandle implements Machine {
  readonly record: MachineRecord;
  readonly #life: Life;
  readonly #machine: SimMachine;
  readonly #start: MachineStart | undefined;
  #loading: Promise<void> | undefined;

  constructor(life: Life, machine: SimMachine, start: MachineStart | undefined) {
    this.#life = life;
    this.#machine = machine;
    this.#start = start;
    this.record = machine.record;
  }

  get exited(): Promise<MachineExit> {
    const { exited } = this.#machine;
    return exited.then((exit) => this.#life.world.step(this.#life, "exited", () => exit));
  }

  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  insertLayers(layers: readonly DiskLayer[]): Promise<void> {
    return this.#ask(`insertLayers ${layers.map(({ layerId }) => layerId)}`, () => {
      if (this.#start?.kind !== "saved" || this.#loading !== undefined)
        throw new AtollError("vm.start_failed", "its disks are complete");
      for (const { layerId, key } of layers) {
        readLayer(this.#machine.pathOf(layerId), key);
        this.#machine.layers.splice(-1, 0, { layerId, key: Uint8Array.from(key) });
      }
    });
  }

  async start(signal?: AbortSignal): Promise<void> {
    await this.load();
    await this.#ask("start", () => {
      signal?.throwIfAborted();
      this.#machine.start();
    });
  }

  stop(signal?: AbortSignal): Promise<void> {
    return this.#ask("stop", () => {
      signal?.throwIfAborted();
      this.#machine.stop();
    });
  }

  openLink(): Promise<Duplex> {
    return this.#life.world.step(this.#life, `openLink ${this.record.machineId}`, () =>
      this.#machine.openLink(this.#life),
    );
  }

  async *saveState(options: SaveOptions = {}): AsyncGenerator<Uint8Array> {
    const state = await this.#ask("saveState", () => this.#machine.save());
    const bytes = savedBytes(this.record, options, JSON.stringify(state));
    const half = bytes.length >> 1;
    yield bytes.subarray(0, half);
    await this.#ask("saveState more", () => options.signal?.throwIfAborted());
    yield bytes.subarray(half);
  }

  saveTemplate(deviceStatePath: string): Promise<void> {
    return this.#ask("saveTemplate", () => {
      const state: SavedState = { ...this.#machine.save(), disk: [] };
      this.#life.world.checkWritten(deviceStatePath, JSON.stringify(state));
      writeFileSync(deviceStatePath, JSON.stringify(state), { flag: "wx" });
    });
  }

  /** What befalls these machines shows by what they no longer do. */
  onEvent(): () => void {
    return () => {};
  }

  ping(signal?: AbortSignal): Promise<void> {
    return this.#ask("ping", () => signal?.throwIfAborted());
  }

  changedBytes(): Promise<number> {
    return this.#ask("changedBytes", () => 4096 * (1 + this.#machine.memory.length));
  }

  topLayerId(): Promise<string> {
    return this.#ask("topLayerId", () => {
      const top = this.#machine.layers.at(-1);
      if (top === undefined) throw new AtollError("vm.monitor_failed", "no layered disk");
      return top.layerId;
    });
  }

  readyLayer(layer: DiskLayer): Promise<void> {
    return this.#ask(`readyLayer ${layer.layerId}`, () => {
      readLayer(this.#machine.pathOf(layer.layerId), layer.key);
    });
  }

  switchLayer(layer: DiskLayer): Promise<void> {
    return this.#ask(`switchLayer ${layer.layerId}`, () => {
      const machine = this.#machine;
      if (machine.isRunning) throw new AtollError("vm.monitor_failed", "switching needs stopped vCPUs");
      if (machine.layers.at(-1)?.layerId === layer.layerId) return;
      if (machine.layers.some(({ layerId }) => layerId === layer.layerId)) {
        machine.guest.run(["?"]);
        throw new AtollError("vm.monitor_failed", "that layer lies below already");
      }
      if (readLayer(machine.pathOf(layer.layerId), layer.key).length > 0) {
        this.#life.world.violation(`a layer switched to is not empty: ${layer.layerId}`);
      }
      machine.layers.push({ layerId: layer.layerId, key: Uint8Array.from(layer.key) });
    });
  }

  async flatten(): Promise<void> {
    await this.#ask("flatten", () => {
      const machine = this.#machine;
      flattenInto(machine.directory ?? "", machine.layers);
      machine.layers.splice(0, machine.layers.length - 1);
    });
  }

  kill(): Promise<void> {
    // SIGKILL asks nobody.
    return this.#life.world.step(this.#life, `kill ${this.record.machineId}`, () =>
      this.#machine.end({ reason: "killed", detail: "" }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #load(): Promise<void> {
    const start = this.#start;
    if (start === undefined) return;
    if (start.kind === "boot") {
      const { templateRamPath } = start;
      if (templateRamPath !== undefined) writeFileSync(templateRamPath, "ram", { flag: "wx" });
      return;
    }
    const bytes = await bytesOf(start);
    await this.#ask("load", () => {
      const state = savedState.safeParse(parseJson(bytes));
      if (!state.success) throw new AtollError("snapshot.invalid", "this is no saved guest");
      this.#machine.load(state.data);
    });
  }

  /** A question to the monitor: a suspended process does not answer. */
  async #ask<T>(name: string, run: () => T): Promise<T> {
    const { world } = this.#life;
    await world.step(this.#life, `${name} ${this.record.machineId}`, () => {});
    if (this.#machine.isSuspended && !this.#machine.isGone) {
      await new Promise<void>((resolve) => {
        world.clock.schedule(MONITOR_TIMEOUT_MS, resolve);
        void this.#machine.exited.then(() => resolve());
      });
      await world.step(this.#life, `${name} unanswered`, () => {});
      if (!this.#machine.isGone) throw new AtollError("vm.monitor_failed", `${name} was not answered`);
    }
    return world.step(this.#life, `${name} done`, () => {
      this.#machine.requireAlive();
      return run();
    });
  }
}

function layered(disk: EncryptedDisk): EncryptedDisk {
  return disk;
}

function flattenInto(directory: string, layers: readonly DiskLayer[]): void {
  const top = layers.at(-1);
  if (top === undefined) return;
  const path = (layer: DiskLayer) => `${directory}/${layer.layerId}.qcow2`;
  const has = new Set(readLayer(path(top), top.key));
  for (const layer of layers.slice(0, -1)) {
    for (const word of readLayer(path(layer), layer.key))
      if (!has.has(word)) appendWord(path(top), top.key, word);
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
