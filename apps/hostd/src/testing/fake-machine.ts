import { type Duplex, duplexPair } from "node:stream";
import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import type {
  DiskRefusal,
  Machine,
  MachineEvent,
  MachineExit,
  MachineRecord,
} from "../hypervisor/hypervisor.ts";
import { FakeGuest } from "./fake-guest.ts";
import type { FakeStoredDisk } from "./fake-stored-disk.ts";
import { HostLife } from "./host-life.ts";

let nextPid = 1000;
/** Key under which the disk counts its writes; the guest's memory knows the same number. */
const WRITES = "#writes";

/** A machine without a process: state and a guest in memory. A test writes to its disk as a program in it would. */
export class FakeMachine implements Machine {
  readonly record: MachineRecord;
  readonly guest: FakeGuest;
  readonly disk: FakeStoredDisk | undefined;
  isRunning = false;
  /** vCPUs ran since it was launched or adopted. */
  hasRun = false;
  /** Set to make `start` fail. */
  startError: AtollError | undefined;
  /** As under SIGSTOP: its monitor answers nothing, only `kill` works. */
  isStuck = false;
  /** The hostd that holds this handle. */
  life = new HostLife();
  /** Live ends, so that a test can cut the link. */
  link: Duplex | undefined;
  /** What the host's disk answers to the guest's writes: each start meets it again. */
  #diskError: DiskRefusal | undefined;
  readonly #listeners = new Set<(event: MachineEvent) => void>();
  readonly #exited = deferred<MachineExit>();
  #isGone = false;

  constructor(guest = new FakeGuest(), disk?: FakeStoredDisk, record?: MachineRecord) {
    this.guest = guest;
    this.disk = disk;
    if (disk !== undefined) guest.disk = disk;
    const pid = nextPid++;
    this.record = record ?? {
      machineId: `machine-${pid}`,
      runDirectory: `/run/machine-${pid}`,
      pid,
      startTicks: String(pid),
      hostBootId: "boot",
      uid: 1,
      templateId: "template",
      baseId: null,
      baseRamPath: "/template/ram",
      basePagesPath: null,
      isBooted: false,
      fingerprint: null,
    };
    guest.onShutdown = () => this.exit({ reason: "guest_halted", detail: "" });
  }

  get exited(): Promise<MachineExit> {
    return this.#exited.promise;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** What a new hostd finds: the same guest under a new handle; the old handle, of a killed hostd, does nothing more. */
  adopted(): FakeMachine {
    const next = new FakeMachine(this.guest, this.disk, this.record);
    next.isRunning = this.isRunning;
    next.isStuck = this.isStuck;
    next.#diskError = this.#diskError;
    this.#isGone = true;
    return next;
  }

  exit(exit: MachineExit): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.isRunning = false;
    this.link?.destroy();
    this.#exited.resolve(exit);
  }

  /** A program in the guest saves a file. @throws Error when the guest could not, or its disk changed behind its back */
  save(key: string, value: string): void {
    this.#requireGuest();
    if (this.guest.isFrozen) throw new Error("the guest's disk is frozen");
    this.guest.diskWrites += 1;
    this.disk?.write(WRITES, String(this.guest.diskWrites));
    this.disk?.write(key, value);
  }

  read(key: string): string | undefined {
    this.#requireGuest();
    return this.disk?.read(key);
  }

  /** The guest's writes fail from now on, and it stands still; undefined lets the next start succeed. */
  refuseWrites(code: DiskRefusal | undefined): void {
    this.#diskError = code;
    this.#meetDisk();
  }

  tell(event: MachineEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  onEvent(listener: (event: MachineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async load(): Promise<void> {}

  async insertLayers(): Promise<void> {}

  async start(): Promise<void> {
    await this.#monitor("machine.start");
    if (this.startError) throw this.startError;
    this.isRunning = true;
    this.hasRun = true;
    this.#meetDisk();
  }

  async stop(): Promise<void> {
    await this.#monitor("machine.stop");
    this.isRunning = false;
  }

  async ping(): Promise<void> {
    if (this.isStuck) throw new AtollError("vm.monitor_failed", "no answer");
    await this.#monitor("machine.ping");
  }

  async openLink(): Promise<Duplex> {
    await this.life.step("machine.openLink", () => {});
    if (this.#isGone) throw new AtollError("link.lost");
    const [host, guest] = duplexPair();
    this.link?.destroy();
    this.link = host;
    this.guest.attach(guest);
    return host;
  }

  // biome-ignore lint/correctness/useYield: the fake source saves a guest by itself
  async *saveState(): AsyncIterable<Uint8Array> {
    throw new AtollError("internal");
  }

  async saveTemplate(): Promise<void> {
    throw new AtollError("internal");
  }

  async changedBytes(): Promise<number> {
    return 1;
  }

  async topLayerId(): Promise<string> {
    return "top";
  }

  async readyLayer(): Promise<void> {}

  async switchLayer(): Promise<void> {}

  async flatten(): Promise<void> {}

  async kill(): Promise<void> {
    await this.life.step("machine.kill", () => {
      this.isStuck = false;
      this.exit({ reason: "killed", detail: "" });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #monitor(name: string): Promise<void> {
    // A stuck monitor never answers: whoever asks needs a deadline of its own.
    if (this.isStuck) return new Promise(() => {});
    return this.life.step(name, () => {
      if (this.#isGone) throw new AtollError("vm.gone");
    });
  }

  #meetDisk(): void {
    const code = this.#diskError;
    if (code === undefined || !this.isRunning) return;
    this.isRunning = false;
    this.tell({ type: "disk_error", code, isStanding: true });
  }

  #requireGuest(): void {
    if (!this.isRunning) throw new Error("the guest does not run");
    const writes = Number(this.disk?.read(WRITES) ?? 0);
    if (writes !== this.guest.diskWrites) throw new Error("the disk is not the one this memory knows");
  }
}
