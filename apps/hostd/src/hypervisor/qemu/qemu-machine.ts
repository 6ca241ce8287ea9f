/**
 * One running QEMU process, by its monitor and its files.
 * Length: the port's whole machine; what each step does to QEMU lies beside.
 */
import { open, readFile, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import type {
  DiskLayer,
  Machine,
  MachineEvent,
  MachineExit,
  MachineRecord,
  MachineStart,
  SaveOptions,
} from "../hypervisor.ts";
import { BlockGraph } from "./block-graph.ts";
import { connectLink } from "./connect-link.ts";
import { GuestMemory, PAGE_BYTES, type PageRun } from "./guest-memory.ts";
import { insertLayers } from "./insert-layers.ts";
import { JAIL_RUN, jailPath } from "./jail.ts";
import { machineEvent } from "./machine-event.ts";
import { joinPageRuns, readPageRuns } from "./page-runs.ts";
import { isAlive, isStopped, killProcess } from "./process-identity.ts";
import { LINK_SOCKET } from "./qemu-arguments.ts";
import type { QmpClient, QmpEvent } from "./qmp-client.ts";
import { RamFile } from "./ram-file.ts";
import { readSavedState, writeSavedState } from "./saved-state.ts";
import { readyLayer, switchLayer } from "./switch-layer.ts";

export const LOG_FILE = "qemu.log";
/** Name of a template's device state in the jail, and of an unpacked one's. */
export const TEMPLATE_STATE_NAME = "state";
/** Device state on its way in or out; in the run directory, so memory-backed, and unlinked at once. */
const DEVICES_FILE = "devices";

const LOAD_TIMEOUT_MS = 60_000;
/** Stopping flushes the disk: on a busy one that takes a while. */
const STOP_TIMEOUT_MS = 60_000;
const LOG_TAIL_CHARACTERS = 500;
/** A monitor on a busy host answers in milliseconds; one that takes longer is stuck. */
const PING_TIMEOUT_MS = 5000;
/** Beside a running guest. */
const FLATTEN_BYTES_PER_SECOND = 64 * 1024 * 1024;

const runState = z.object({ running: z.boolean() });

export interface QemuMachineOptions {
  record: MachineRecord;
  qmp: QmpClient;
  /** Undefined for an adopted machine: what it was launched from is long loaded. */
  start: MachineStart | undefined;
  /** Runs once, when the process is gone. */
  onGone: () => Promise<void>;
}

/** One of QAPI's `ShutdownCause`. */
const GUEST_RESET = "guest-reset";

export class QemuMachine implements Machine {
  readonly record: MachineRecord;
  readonly exited: Promise<MachineExit>;
  readonly #qmp: QmpClient;
  readonly #graph: BlockGraph;
  readonly #start: MachineStart | undefined;
  readonly #onGone: () => Promise<void>;
  #loading: Promise<void> | undefined;
  #link: Socket | undefined;
  /** Connected by `load`, for the first `openLink`. */
  #earlyLink: Socket | undefined;
  #isKilled = false;
  #isLetGo = false;
  #shutdownReason: string | undefined;

  constructor(options: QemuMachineOptions) {
    this.record = options.record;
    this.#qmp = options.qmp;
    this.#graph = new BlockGraph(options.qmp);
    this.#start = options.start;
    this.#onGone = options.onGone;
    options.qmp.onEvent(({ event, data }) => {
      if (event === "SHUTDOWN" && data.guest === true) this.#shutdownReason = String(data.reason ?? "guest");
    });
    this.exited = this.#watch();
  }

  load(signal?: AbortSignal): Promise<void> {
    this.#loading ??= this.#load(signal);
    return this.#loading;
  }

  async start(signal?: AbortSignal): Promise<void> {
    await this.load(signal);
    await this.#qmp.execute("cont", {}, z.unknown(), { signal });
  }

  async insertLayers(layers: readonly DiskLayer[], signal?: AbortSignal): Promise<void> {
    if (this.#start?.kind !== "saved" || this.#loading !== undefined)
      throw new AtollError("vm.start_failed", "its disks are complete");
    await insertLayers(this.#graph, this.record, layers, signal);
  }

  async stop(signal?: AbortSignal): Promise<void> {
    await this.#qmp.execute("stop", {}, z.unknown(), { signal, timeoutMs: STOP_TIMEOUT_MS });
  }

  async openLink(signal?: AbortSignal): Promise<Duplex> {
    signal?.throwIfAborted();
    const early = this.#earlyLink;
    this.#earlyLink = undefined;
    if (early !== undefined && !early.destroyed) {
      this.#link = early;
      return early;
    }
    // QEMU serves one connection at a time and would leave the next one waiting.
    this.#link?.destroy();
    this.#link = await this.#connectLink(signal);
    return this.#link;
  }

  async *saveState({ signal, ...what }: SaveOptions = {}): AsyncGenerator<Uint8Array> {
    const devices = await this.#saveDevices(signal);
    const { pid, baseRamPath, isBooted } = this.record;
    await using memory = await GuestMemory.open(pid, baseRamPath);
    await using base = isBooted ? await RamFile.open(baseRamPath) : undefined;
    const runs = await this.#savedRuns(memory, what);
    for await (const chunk of writeSavedState(devices, memory, { runs, base })) {
      signal?.throwIfAborted();
      yield chunk;
    }
  }

  async saveTemplate(deviceStatePath: string, signal?: AbortSignal): Promise<void> {
    const devices = await this.#saveDevices(signal);
    await using state = await open(deviceStatePath, "wx", 0o444);
    await state.writeFile(devices);
    await state.sync();
    // The guest's RAM is a shared mapping of this file, so its dirty pages belong to the file.
    await using ram = await open(this.record.baseRamPath, "r");
    await ram.sync();
    await syncDirectory(join(deviceStatePath, ".."));
  }

  onEvent(listener: (event: MachineEvent) => void): () => void {
    return this.#qmp.onEvent((told) => {
      const event = machineEvent(told);
      if (event !== undefined) listener(event);
    });
  }

  async ping(signal?: AbortSignal): Promise<void> {
    if (isStopped(this.record)) throw new AtollError("vm.monitor_failed", "its process is stopped");
    await this.#qmp.execute("query-status", {}, runState, { signal, timeoutMs: PING_TIMEOUT_MS });
  }

  async changedBytes(options: Pick<SaveOptions, "isOverBase"> = {}): Promise<number> {
    await using memory = await GuestMemory.open(this.record.pid, this.record.baseRamPath);
    const runs = await this.#savedRuns(memory, options);
    return runs.reduce((sum, { count }) => sum + count, 0) * PAGE_BYTES;
  }

  async topLayerId(): Promise<string> {
    return topOf(await this.#graph.layerIds());
  }

  readyLayer(layer: DiskLayer, signal?: AbortSignal): Promise<void> {
    return readyLayer(this.#graph, this.record, layer, signal);
  }

  async switchLayer(layer: DiskLayer, signal?: AbortSignal): Promise<void> {
    const { running } = await this.#qmp.execute("query-status", {}, runState, { signal });
    if (running) throw new AtollError("vm.monitor_failed", "switching layers needs stopped vCPUs");
    await switchLayer(this.#graph, this.record, layer, signal);
  }

  async flatten(signal?: AbortSignal): Promise<void> {
    const top = topOf(await this.#graph.layerIds(signal));
    await this.#graph.flattenInto(top, FLATTEN_BYTES_PER_SECOND, signal);
  }

  /** Drops every connection and leaves the process as it is: for the next life of hostd. Nothing else works from then on. */
  letGo(): void {
    this.#isLetGo = true;
    this.#closeLinks();
    this.#qmp.close();
  }

  async kill(): Promise<void> {
    if (this.#isLetGo) return;
    this.#isKilled = true;
    this.#closeLinks();
    await killProcess(this.record);
    await this.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #closeLinks(): void {
    this.#link?.destroy();
    this.#earlyLink?.destroy();
  }

  #connectLink(signal?: AbortSignal): Promise<Socket> {
    return connectLink(join(this.record.runDirectory, LINK_SOCKET), signal);
  }

  async #load(signal?: AbortSignal): Promise<void> {
    const start = this.#start;
    if (start === undefined || start.kind === "boot") return;
    // A guest saved in the middle of a write has that write finished while its devices load. With nobody connected QEMU
    // blocks the port for it, and nothing ever unblocks it again.
    if (this.#link === undefined || this.#link.destroyed) this.#earlyLink = await this.#connectLink(signal);
    if (start.kind !== "saved") return this.#loadDevices(jailPath(TEMPLATE_STATE_NAME), signal);
    const path = join(this.record.runDirectory, DEVICES_FILE);
    try {
      await using memory = await GuestMemory.open(this.record.pid, this.record.baseRamPath);
      await readSavedState(start.state, {
        // Only root and this machine's uid can enter the directory.
        onDevices: (bytes) => writeFile(path, bytes, { mode: 0o644, flag: "wx" }),
        onPages: (first, bytes) => memory.write(first, bytes),
      });
      await this.#loadDevices(`${JAIL_RUN}/${DEVICES_FILE}`, signal);
    } finally {
      await rm(path, { force: true });
    }
  }

  async #loadDevices(pathInJail: string, signal?: AbortSignal): Promise<void> {
    const done = deferred<string>();
    const stopListening = this.#qmp.onEvent(({ event, data }: QmpEvent) => {
      if (event === "MIGRATION" && (data.status === "completed" || data.status === "failed"))
        done.resolve(data.status);
    });
    void this.#qmp.closed.then(() => done.resolve("failed"));
    try {
      const capabilities = [{ capability: "events", state: true }];
      await this.#qmp.execute("migrate-set-capabilities", { capabilities }, z.unknown(), { signal });
      await this.#qmp.execute("migrate-incoming", { uri: `file:${pathInJail}` }, z.unknown(), { signal });
      const status = await withDeadline(done.promise, {
        timeoutMs: LOAD_TIMEOUT_MS,
        clock: systemClock,
        signal,
        onTimeout: () => new AtollError("vm.start_failed", "the saved devices were not taken in time"),
      });
      if (status !== "completed") {
        throw new AtollError("vm.start_failed", `the saved devices were refused: ${await this.#logTail()}`);
      }
      await this.#takeDisks(signal);
    } finally {
      stopListening();
    }
  }

  /** A machine that waits for saved state has not locked its disks yet. */
  async #takeDisks(signal?: AbortSignal): Promise<void> {
    try {
      await this.#qmp.execute("blockdev-set-active", { active: true }, z.unknown(), { signal });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new AtollError("vm.start_failed", "a disk is in use by another machine", { cause });
    }
  }

  async #savedRuns(
    memory: GuestMemory,
    { isOverBase = false }: Pick<SaveOptions, "isOverBase">,
  ): Promise<PageRun[]> {
    const { basePagesPath } = this.record;
    const changed = await memory.changedRuns();
    if (basePagesPath === null || isOverBase) return changed;
    return joinPageRuns(changed, readPageRuns(await readFile(basePagesPath)));
  }

  async #saveDevices(signal?: AbortSignal): Promise<Buffer> {
    const path = join(this.record.runDirectory, DEVICES_FILE);
    try {
      // Devices without RAM. `live` false leaves the disks as they are, so that the machine can go on if this fails.
      const parameters = { filename: `${JAIL_RUN}/${DEVICES_FILE}`, live: false };
      await this.#qmp.execute("xen-save-devices-state", parameters, z.unknown(), { signal });
      return await readFile(path);
    } finally {
      await rm(path, { force: true });
    }
  }

  async #watch(): Promise<MachineExit> {
    await this.#qmp.closed;
    // Somebody else's from now on: for this handle it never ends.
    if (this.#isLetGo) return new Promise(() => {});
    // The monitor's socket closes with the process, a moment before it is gone. A process without a monitor is of no use.
    for (let waits = 0; waits < 20 && isAlive(this.record); waits++) await delay(5);
    // One that hangs in the kernel is out of reach; whoever called `kill` has been told.
    await killProcess(this.record).catch(() => {});
    const detail = this.#shutdownReason ?? (await this.#logTail());
    // A directory that cannot be removed now goes with the next reap; the exit is known either way.
    await this.#onGone().catch(() => {});
    if (this.#isKilled) return { reason: "killed", detail: "" };
    if (this.#shutdownReason === undefined) return { reason: "crashed", detail };
    return { reason: this.#shutdownReason === GUEST_RESET ? "guest_reset" : "guest_halted", detail };
  }

  async #logTail(): Promise<string> {
    try {
      const text = await readFile(join(this.record.runDirectory, LOG_FILE), "utf8");
      return text.trim().slice(-LOG_TAIL_CHARACTERS);
    } catch {
      return "";
    }
  }
}

/** Of a machine over encrypted layers. */
function topOf(layerIds: readonly string[]): string {
  const [top] = layerIds;
  if (top === undefined) throw new AtollError("vm.monitor_failed", "the machine has no layers");
  return top;
}
