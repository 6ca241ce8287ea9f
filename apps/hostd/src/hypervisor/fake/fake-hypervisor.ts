/**
 * Machines in memory for tests of what stands on the port. Its guest is a counter behind the real link handshake: saved
 * and template state is that counter, the token the agent expects and what its memory knows of the disk, so a restore
 * that lost or mixed up anything shows.
 * Length: a whole driver, which the contract wants to act as one.
 */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { type Duplex, duplexPair } from "node:stream";
import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { FakeGuest } from "../../testing/fake-guest.ts";
import {
  baseOf,
  type DiskLayer,
  type EncryptedDisk,
  type Hypervisor,
  type LaunchSpec,
  type Machine,
  type MachineEvent,
  type MachineExit,
  type MachineRecord,
  type MachineStart,
  type SaveOptions,
  templateOf,
  type UnpackedState,
  type UnpackOptions,
} from "../hypervisor.ts";
import { FakeDisk, FakeFileLocks } from "./fake-disk.ts";
import { bytesOf, copyAll, joinBytes, savedBytes, UnpackedBytes } from "./start-bytes.ts";

const guestState = z.strictObject({
  counter: z.number().int(),
  expectedToken: z.string(),
  diskWrites: z.number().int(),
});

/** The host that machines live on: it outlives a hypervisor, as processes outlive hostd. */
export class FakeMachineHost {
  readonly machines = new Map<number, FakeHypervisorMachine>();
  readonly locks = new FakeFileLocks();
  /** Below these no write of a guest finds room. */
  readonly fullDirectories = new Set<string>();
  /** Below these every write of a guest fails. */
  readonly failedDirectories = new Set<string>();
  nextPid = 1000;
}

export class FakeHypervisor implements Hypervisor {
  readonly isolation = "emulated";
  readonly fingerprint: string;
  readonly host: FakeMachineHost;
  /** Launches that shall fail. */
  launchError: AtollError | undefined;
  /** Nobody disposed of these. */
  readonly unpacked = new Set<UnpackedState>();
  readonly #mine = new Set<number>();

  constructor(host = new FakeMachineHost(), fingerprint = "fake 1") {
    this.host = host;
    this.fingerprint = fingerprint;
  }

  async launch(spec: LaunchSpec): Promise<Machine> {
    spec.signal?.throwIfAborted();
    if (this.launchError) throw this.launchError;
    const { host } = this;
    const base = baseOf(spec.start);
    if (base !== undefined && !this.unpacked.has(base))
      throw new AtollError("vm.start_failed", "the unpacked memory is gone");
    const disk = FakeDisk.open(spec.disk, host.locks);
    let view: FakeDisk | undefined;
    try {
      view = spec.view && FakeDisk.open(spec.view, host.locks);
    } catch (error) {
      disk.close();
      throw error;
    }
    const pid = host.nextPid++;
    const record: MachineRecord = {
      machineId: spec.machineId,
      runDirectory: `/fake/${spec.machineId}`,
      pid,
      startTicks: `${pid}`,
      hostBootId: "fake",
      uid: pid,
      templateId: templateOf(spec.start)?.templateId ?? null,
      baseId: base?.baseId ?? null,
      baseRamPath: "/fake/ram",
      basePagesPath: null,
      isBooted: spec.start.kind === "boot",
      fingerprint: this.fingerprint,
    };
    const onGone = () => {
      disk.close();
      view?.close();
      host.machines.delete(pid);
    };
    const { directory } = spec.disk.kind === "encrypted" ? spec.disk : { directory: "" };
    const isIn = (places: ReadonlySet<string>) => [...places].some((place) => directory.startsWith(place));
    const refusal = () => {
      if (isIn(host.failedDirectories)) return "host.disk_failed";
      return isIn(host.fullDirectories) ? "host.disk_full" : undefined;
    };
    const machine = new FakeHypervisorMachine({ record, start: spec.start, disk, view, refusal, onGone });
    host.machines.set(pid, machine);
    this.#mine.add(pid);
    return machine;
  }

  async unpack(state: AsyncIterable<Uint8Array>, { baseId, signal }: UnpackOptions): Promise<UnpackedState> {
    const bytes = await copyAll(state);
    signal?.throwIfAborted();
    requireGuestState(bytes);
    const unpacked = new UnpackedBytes(baseId, bytes, () => this.unpacked.delete(unpacked));
    this.unpacked.add(unpacked);
    return unpacked;
  }

  joinStates(base: AsyncIterable<Uint8Array>, over: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return joinBytes(base, over);
  }

  async flattenDisk(disk: EncryptedDisk, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const open = FakeDisk.open(disk, this.host.locks);
    try {
      await open.flatten(signal);
    } finally {
      open.close();
    }
  }

  async adopt(record: MachineRecord): Promise<Machine | undefined> {
    const machine = this.host.machines.get(record.pid);
    if (machine === undefined || machine.record.startTicks !== record.startTicks) return undefined;
    this.#mine.add(record.pid);
    return machine;
  }

  async letGo(): Promise<void> {
    this.#mine.clear();
  }

  async reap(isSpared: (machineId: string) => boolean = () => false): Promise<void> {
    for (const [pid, machine] of this.host.machines) {
      if (!this.#mine.has(pid) && !isSpared(machine.record.machineId)) await machine.kill();
    }
  }
}

interface FakeHypervisorMachineOptions {
  record: MachineRecord;
  start: MachineStart;
  disk: FakeDisk;
  view: FakeDisk | undefined;
  /** Of the host, for what the guest writes. */
  refusal: () => "host.disk_full" | "host.disk_failed" | undefined;
  onGone: () => void;
}

export class FakeHypervisorMachine implements Machine {
  readonly record: MachineRecord;
  readonly guest = new FakeGuest();
  /** Set when the monitor shall be stuck, as that of a process under SIGSTOP: everything but `kill` fails by it. */
  monitorError: AtollError | undefined;
  readonly #start: MachineStart;
  readonly #disk: FakeDisk;
  readonly #onGone: () => void;
  readonly #exited = deferred<MachineExit>();
  #loading: Promise<void> | undefined;
  #link: Duplex | undefined;
  #guestEnd: Duplex | undefined;
  readonly #listeners = new Set<(event: MachineEvent) => void>();
  #running = deferred<void>();
  #isRunning = false;
  #isGone = false;

  constructor({ record, start, disk, view, refusal, onGone }: FakeHypervisorMachineOptions) {
    this.record = record;
    this.#start = start;
    this.#disk = disk;
    this.#onGone = onGone;
    this.guest.disk = disk;
    this.guest.view = view;
    this.guest.whenRunning = async () => {
      while (!this.#isRunning) await this.#running.promise;
    };
    this.guest.whenWritable = async () => {
      for (let code = refusal(); code !== undefined; code = refusal()) {
        this.#stand();
        this.#tell({ type: "disk_error", code, isStanding: true });
        await this.guest.whenRunning();
      }
    };
    this.guest.onAgentEnd = () => {
      this.#tell({ type: "port", isOpen: false });
      this.guest.restartAgent();
      this.#tell({ type: "port", isOpen: true });
    };
    this.guest.onShutdown = () => this.end({ reason: "guest_halted", detail: "guest-shutdown" });
    this.guest.onReset = () => this.end({ reason: "guest_reset", detail: "guest-reset" });
  }

  get exited(): Promise<MachineExit> {
    return this.#exited.promise;
  }

  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async insertLayers(layers: readonly DiskLayer[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
    if (this.#start.kind !== "saved" || this.#loading !== undefined)
      throw new AtollError("vm.start_failed", "its disks are complete");
    for (const layer of layers) this.#disk.insertBelowTop(layer);
  }

  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
    await this.load();
    this.#isRunning = true;
    this.#running.resolve();
    this.#attach();
  }

  async stop(): Promise<void> {
    this.#requireAlive();
    this.#stand();
  }

  async openLink(): Promise<Duplex> {
    this.#requireAlive();
    const [host, guest] = duplexPair();
    this.#link?.destroy();
    this.#link = host;
    host.on("error", () => {});
    this.#guestEnd = guest;
    this.#attach();
    return host;
  }

  async *saveState(options: SaveOptions = {}): AsyncGenerator<Uint8Array> {
    yield savedBytes(this.record, options, this.#state());
  }

  async saveTemplate(deviceStatePath: string): Promise<void> {
    await writeFile(deviceStatePath, this.#state(), { flag: "wx" });
  }

  async ping(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
  }

  onEvent(listener: (event: MachineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async changedBytes(): Promise<number> {
    this.#requireAlive();
    return Buffer.byteLength(this.#guestState());
  }

  async topLayerId(): Promise<string> {
    this.#requireAlive();
    return this.#disk.topLayerId;
  }

  async readyLayer(_layer: DiskLayer, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
  }

  async switchLayer(layer: DiskLayer, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
    this.#requireStopped();
    this.#disk.switchTo(layer);
  }

  async flatten(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
    await this.#disk.flatten(signal);
  }

  async kill(): Promise<void> {
    this.end({ reason: "killed", detail: "" });
  }

  end(exit: MachineExit): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#isRunning = false;
    this.#link?.destroy();
    this.#onGone();
    this.#exited.resolve(exit);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #tell(event: MachineEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #stand(): void {
    if (this.#isRunning) this.#running = deferred();
    this.#isRunning = false;
  }

  /** A guest reads only while its vCPUs run; until then bytes wait in the stream. */
  #attach(): void {
    const guest = this.#guestEnd;
    if (guest === undefined || !this.#isRunning) return;
    this.#guestEnd = undefined;
    this.guest.attach(guest);
  }

  #state(): string {
    this.#requireAlive();
    this.#requireStopped();
    return this.#guestState();
  }

  #guestState(): string {
    const { counter, expectedToken, diskWrites } = this.guest;
    return JSON.stringify({ counter, expectedToken, diskWrites } satisfies z.infer<typeof guestState>);
  }

  async #load(): Promise<void> {
    const start = this.#start;
    if (start.kind === "boot") {
      if (start.templateRamPath !== undefined)
        await writeFile(start.templateRamPath, randomBytes(16), { flag: "wx" });
      this.guest.mount();
      return;
    }
    Object.assign(this.guest, requireGuestState(await bytesOf(start)));
  }

  #requireAlive(): void {
    if (this.#isGone) throw new AtollError("vm.gone");
    if (this.monitorError !== undefined) throw this.monitorError;
  }

  #requireStopped(): void {
    if (this.#isRunning) throw new AtollError("vm.monitor_failed", "this needs stopped vCPUs");
  }
}

function requireGuestState(bytes: Buffer): z.infer<typeof guestState> {
  const state = guestState.safeParse(parseJson(bytes));
  if (!state.success) throw new AtollError("snapshot.invalid", "this is no saved guest");
  return state.data;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
