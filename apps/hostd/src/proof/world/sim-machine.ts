/**
 * A machine process of the simulated host, as the kernel and the guest see it: it outlives any life of hostd. Its disk is
 * the real layer files; its memory is a counter, a link token and the words it remembers. What must never happen to a
 * machine is noticed here and told to the world.
 */
import { type Duplex, duplexPair } from "node:stream";
import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import type {
  DiskLayer,
  EncryptedDisk,
  MachineExit,
  MachineRecord,
  RawDisk,
} from "../../hypervisor/hypervisor.ts";
import { FakeGuest } from "../../testing/fake-guest.ts";
import { appendWord, readLayer } from "./layer-file.ts";
import { serveFiles } from "./serve-files.ts";
import type { SimHost } from "./sim-host.ts";
import type { Life } from "./sim-world.ts";

/** I12: a guest further off was not told the time. */
const CLOCK_MAX_MS = 1000;

export const savedState = z.strictObject({
  saveId: z.number().int(),
  counter: z.number().int(),
  expectedToken: z.string(),
  memory: z.array(z.string()),
  /** What the disk held when memory was saved: memory over any other content is a corrupted file system. */
  disk: z.array(z.string()),
  /** Of the monitor that saved it: no other one can read it. */
  version: z.string(),
});
export type SavedState = z.infer<typeof savedState>;

export interface SimMachineParts {
  disk: EncryptedDisk | RawDisk;
  view: EncryptedDisk | undefined;
  version: string;
}

export class SimMachine {
  readonly record: MachineRecord;
  readonly guest = new FakeGuest();
  readonly version: string;
  readonly directory: string | undefined;
  readonly layers: DiskLayer[];
  readonly view: readonly DiskLayer[];
  readonly viewDirectory: string | undefined;
  memory: string[] = [];
  /** The saved state it came from, once its vCPUs ran. */
  startedFrom: number | undefined;
  isRunning = false;
  /** By SIGSTOP: nothing answers, the process is there. */
  isSuspended = false;
  isGone = false;
  /** Who has the connection to its monitor. */
  monitorOwner: Life | undefined;
  /** Of its last handshake that was to make it somebody's: whose, the how manieth on this host, and what the guest confirmed. */
  taken: { workspaceId: string; serial: number; isReseeded: boolean } | undefined;
  /** The guest's clock was right after its last handshake. */
  isTimely = false;
  #loaded: SavedState | undefined;
  readonly #host: SimHost;
  readonly #exited = deferred<MachineExit>();
  #link: Duplex | undefined;
  #linkOwner: Life | undefined;
  #waitingLink: Duplex | undefined;

  constructor(host: SimHost, record: MachineRecord, { disk, view, version }: SimMachineParts) {
    this.version = version;
    this.#host = host;
    this.record = record;
    this.directory = disk.kind === "encrypted" ? disk.directory : undefined;
    this.layers = disk.kind === "encrypted" ? disk.layers.map(copyOf) : [];
    this.view = view?.layers.map(copyOf) ?? [];
    this.viewDirectory = view?.directory;
    this.guest.onShutdown = () => this.end({ reason: "guest_halted", detail: "guest-shutdown" });
    this.guest.run = (argv) => this.#run(argv);
    this.guest.answer = host.guestAnswer;
    this.guest.onHello = (hello, { isReseeded, clockOffsetMs }) => {
      const { nowMs } = host.world.clock;
      this.isTimely = Math.abs(clockOffsetMs) <= CLOCK_MAX_MS && nowMs - hello.hostTimeMs <= CLOCK_MAX_MS;
      if (hello.reason === "reconnect") return;
      this.taken = { workspaceId: hello.identity.workspaceId, serial: host.nextHello++, isReseeded };
    };
    serveFiles(this);
  }

  /** A process that still lives has it, whatever it is doing. */
  hasOtherMonitor(life: Life): boolean {
    const owner = this.monitorOwner;
    return owner !== undefined && owner !== life && !owner.isDead;
  }

  get exited(): Promise<MachineExit> {
    return this.#exited.promise;
  }

  /** Files it reads and may write, in order. */
  get paths(): string[] {
    return this.layers.map(({ layerId }) => this.pathOf(layerId));
  }

  get topPath(): string | undefined {
    return this.paths.at(-1);
  }

  pathOf(layerId: string): string {
    return `${this.directory}/${layerId}.qcow2`;
  }

  /** Every word on its disk, in no order. */
  diskWords(): string[] {
    const words = this.layers.flatMap(({ layerId, key }) => readLayer(this.pathOf(layerId), key));
    return [...new Set(words)].sort();
  }

  viewWords(): string[] {
    const words = this.view.flatMap(({ layerId, key }) =>
      readLayer(`${this.viewDirectory}/${layerId}.qcow2`, key),
    );
    return [...new Set(words)].sort();
  }

  write(word: string): void {
    const top = this.layers.at(-1);
    if (top === undefined) throw new Error("a machine without a disk was asked to write");
    this.#host.checkWrite(this);
    appendWord(this.pathOf(top.layerId), top.key, word);
  }

  load(state: SavedState): void {
    if (state.version !== this.version) {
      this.#host.world.violation(`I2: memory of "${state.version}" was given to "${this.version}"`);
    }
    this.#loaded = state;
    this.guest.counter = state.counter;
    this.guest.expectedToken = state.expectedToken;
    this.memory = [...state.memory];
  }

  start(): void {
    this.requireAlive();
    const loaded = this.#loaded;
    this.#loaded = undefined;
    if (loaded !== undefined) {
      this.startedFrom = loaded.saveId;
      this.#host.checkStart(this, loaded);
    }
    this.isRunning = true;
    this.#attach();
  }

  stop(): void {
    this.requireAlive();
    this.isRunning = false;
  }

  /** Also while suspended: the kernel accepts the connection. */
  openLink(owner: Life): Duplex {
    if (this.isGone) throw new AtollError("vm.gone");
    const [host, guest] = duplexPair();
    this.#cutLink();
    this.#link = host;
    this.#linkOwner = owner;
    host.on("error", () => {});
    this.#waitingLink = guest;
    this.#attach();
    return host;
  }

  save(): SavedState {
    this.requireAlive();
    if (this.isRunning) throw new AtollError("vm.monitor_failed", "saving needs stopped vCPUs");
    const { counter, expectedToken } = this.guest;
    return {
      saveId: this.#host.nextSaveId++,
      counter,
      expectedToken,
      memory: [...this.memory],
      disk: this.directory === undefined ? [] : this.diskWords(),
      version: this.version,
    };
  }

  /** SIGSTOP or SIGCONT. */
  suspend(isSuspended: boolean): void {
    this.isSuspended = isSuspended;
    if (!isSuspended) this.#attach();
  }

  restartAgent(): void {
    this.guest.restartAgent();
    this.#cutLink();
  }

  end(exit: MachineExit): void {
    if (this.isGone) return;
    this.isGone = true;
    this.isRunning = false;
    this.#cutLink();
    this.#waitingLink?.destroy();
    this.#host.machines.delete(this.record.pid);
    this.#host.ended.push(this);
    this.#exited.resolve(exit);
  }

  /** The connection went with the hostd that had it. */
  dropLink(owner: Life): void {
    if (this.#linkOwner === owner) this.#cutLink();
  }

  /** Whoever has it hears of that as itself. */
  #cutLink(): void {
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined) this.#linkOwner?.run(() => link.destroy());
  }

  requireAlive(): void {
    if (this.isGone) throw new AtollError("vm.gone");
  }

  #attach(): void {
    const guest = this.#waitingLink;
    if (guest === undefined || !this.isRunning || this.isSuspended) return;
    this.#waitingLink = undefined;
    this.guest.attach(guest);
  }

  /** The user's commands. */
  #run([command, word]: readonly string[]): string {
    if (this.isSuspended || !this.isRunning) return "";
    switch (command) {
      case "write":
        this.write(word ?? "");
        return "written";
      case "remember":
        this.memory.push(word ?? "");
        return "remembered";
      case "disk":
        return JSON.stringify(this.diskWords());
      case "memory":
        return JSON.stringify(this.memory);
      case "view":
        return JSON.stringify(this.viewWords());
      default:
        return "";
    }
  }
}

const copyOf = ({ layerId, key }: DiskLayer): DiskLayer => ({ layerId, key: Uint8Array.from(key) });
