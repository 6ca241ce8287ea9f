import { type Duplex, duplexPair } from "node:stream";
import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Machine, MachineExit, MachineRecord } from "../hypervisor/hypervisor.ts";
import { FakeGuest } from "./fake-guest.ts";

let nextPid = 1000;

/** A machine without a process: state and a guest in memory. */
export class FakeMachine implements Machine {
  readonly record: MachineRecord;
  readonly guest: FakeGuest;
  isRunning = false;
  /** Set to make `start` fail. */
  startError: AtollError | undefined;
  /** Live ends, so that a test can cut the link. */
  link: Duplex | undefined;
  readonly #exited = deferred<MachineExit>();

  constructor(guest = new FakeGuest(), record?: MachineRecord) {
    this.guest = guest;
    const pid = nextPid++;
    this.record = record ?? {
      machineId: `machine-${pid}`,
      runDirectory: `/run/machine-${pid}`,
      pid,
      startTicks: String(pid),
      hostBootId: "boot",
      uid: 1,
      templateId: "template",
      baseRamPath: "/template/ram",
    };
    guest.onShutdown = () => this.exit({ reason: "guest_halted", detail: "" });
  }

  get exited(): Promise<MachineExit> {
    return this.#exited.promise;
  }

  get isGone(): boolean {
    return this.#isGone;
  }
  #isGone = false;

  /** What a new hostd finds: the same guest under a new handle; the old handle, of a killed hostd, does nothing more. */
  adopted(): FakeMachine {
    const next = new FakeMachine(this.guest, this.record);
    next.isRunning = this.isRunning;
    this.#isGone = true;
    return next;
  }

  exit(exit: MachineExit): void {
    this.#isGone = true;
    this.isRunning = false;
    this.link?.destroy();
    this.#exited.resolve(exit);
  }

  async load(): Promise<void> {}

  async start(): Promise<void> {
    if (this.startError) throw this.startError;
    if (this.#isGone) throw new AtollError("vm.gone");
    this.isRunning = true;
  }

  async stop(): Promise<void> {
    this.isRunning = false;
  }

  async openLink(): Promise<Duplex> {
    if (this.#isGone) throw new AtollError("link.lost");
    const [host, guest] = duplexPair();
    this.link?.destroy();
    this.link = host;
    this.guest.attach(guest);
    return host;
  }

  // biome-ignore lint/correctness/useYield: this fake has no memory to save
  async *saveState(): AsyncIterable<Uint8Array> {
    throw new AtollError("internal");
  }

  async saveTemplate(): Promise<void> {
    throw new AtollError("internal");
  }

  async kill(): Promise<void> {
    if (!this.#isGone) this.exit({ reason: "killed", detail: "" });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
