/**
 * Machines in memory for tests of what stands on the port. Its guest is a counter behind the real link handshake: saved
 * and template state is that counter and the token the agent expects, so a restore that lost or mixed up anything shows.
 */
import { randomBytes } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { type Duplex, duplexPair } from "node:stream";
import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { FakeGuest } from "../../testing/fake-guest.ts";
import type {
  Hypervisor,
  LaunchSpec,
  Machine,
  MachineExit,
  MachineRecord,
  MachineStart,
} from "../hypervisor.ts";

const guestState = z.strictObject({ counter: z.number().int(), expectedToken: z.string() });

/** The host that machines live on: it outlives a hypervisor, as processes outlive hostd. */
export class FakeMachineHost {
  readonly machines = new Map<number, FakeHypervisorMachine>();
  nextPid = 1000;
}

export class FakeHypervisor implements Hypervisor {
  readonly isolation = "emulated";
  readonly fingerprint: string;
  readonly host: FakeMachineHost;
  /** Launches that shall fail. */
  launchError: AtollError | undefined;
  readonly #mine = new Set<number>();

  constructor(host = new FakeMachineHost(), fingerprint = "fake 1") {
    this.host = host;
    this.fingerprint = fingerprint;
  }

  async launch(spec: LaunchSpec): Promise<Machine> {
    spec.signal?.throwIfAborted();
    if (this.launchError) throw this.launchError;
    // As QEMU would: without its disk it does not come up.
    await stat(spec.disk.path).catch((cause: unknown) => {
      throw new AtollError("vm.start_failed", "no disk", { cause });
    });
    const { host } = this;
    const pid = host.nextPid++;
    const record: MachineRecord = {
      machineId: spec.machineId,
      runDirectory: `/fake/${spec.machineId}`,
      pid,
      startTicks: `${pid}`,
      hostBootId: "fake",
      uid: pid,
      templateId: "template" in spec.start ? (spec.start.template?.templateId ?? null) : null,
      baseRamPath: "/fake/ram",
    };
    const machine = new FakeHypervisorMachine(record, spec.start, () => host.machines.delete(pid));
    host.machines.set(pid, machine);
    this.#mine.add(pid);
    return machine;
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

  async reap(): Promise<void> {
    for (const [pid, machine] of this.host.machines) if (!this.#mine.has(pid)) await machine.kill();
  }
}

export class FakeHypervisorMachine implements Machine {
  readonly record: MachineRecord;
  readonly guest = new FakeGuest();
  readonly #start: MachineStart;
  readonly #onGone: () => void;
  readonly #exited = deferred<MachineExit>();
  #loading: Promise<void> | undefined;
  #link: Duplex | undefined;
  #isRunning = false;
  #isGone = false;

  constructor(record: MachineRecord, start: MachineStart, onGone: () => void) {
    this.record = record;
    this.#start = start;
    this.#onGone = onGone;
    this.guest.onShutdown = () => this.end({ reason: "guest_halted", detail: "guest-shutdown" });
  }

  get exited(): Promise<MachineExit> {
    return this.#exited.promise;
  }

  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#requireAlive();
    await this.load();
    this.#isRunning = true;
    this.#attach();
  }

  async stop(): Promise<void> {
    this.#requireAlive();
    this.#isRunning = false;
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
  #guestEnd: Duplex | undefined;

  async *saveState(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(this.#state());
  }

  async saveTemplate(deviceStatePath: string): Promise<void> {
    await writeFile(deviceStatePath, this.#state(), { flag: "wx" });
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

  /** A guest reads only while its vCPUs run; until then bytes wait in the stream. */
  #attach(): void {
    const guest = this.#guestEnd;
    if (guest === undefined || !this.#isRunning) return;
    this.#guestEnd = undefined;
    this.guest.attach(guest);
  }

  #state(): string {
    this.#requireAlive();
    if (this.#isRunning) throw new AtollError("vm.monitor_failed", "saving needs stopped vCPUs");
    const { counter, expectedToken } = this.guest;
    return JSON.stringify({ counter, expectedToken } satisfies z.infer<typeof guestState>);
  }

  async #load(): Promise<void> {
    const start = this.#start;
    if (start.kind === "boot") {
      if (start.templateRamPath !== undefined)
        await writeFile(start.templateRamPath, randomBytes(16), { flag: "wx" });
      return;
    }
    const bytes =
      start.kind === "template" ? await readFile(start.template.deviceStatePath) : await collect(start.state);
    const state = guestState.safeParse(parseJson(bytes));
    if (!state.success) throw new AtollError("snapshot.invalid", "this is no saved guest");
    this.guest.counter = state.data.counter;
    this.guest.expectedToken = state.data.expectedToken;
  }

  #requireAlive(): void {
    if (this.#isGone) throw new AtollError("vm.gone");
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
