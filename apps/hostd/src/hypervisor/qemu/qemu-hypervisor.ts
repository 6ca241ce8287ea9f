import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Isolation } from "@atoll/protocol/workspace-status";
import {
  type EncryptedDisk,
  type Hypervisor,
  type LaunchSpec,
  type Machine,
  type MachineRecord,
  templateOf,
  type UnpackedState,
  type UnpackOptions,
} from "../hypervisor.ts";
import { BaseRam, type BaseRamOptions } from "./base-ram.ts";
import { BlockGraph } from "./block-graph.ts";
import type { ChainName } from "./block-nodes.ts";
import { connectWhenReady } from "./connect-when-ready.ts";
import { findJailed } from "./find-jailed.ts";
import { type JailFile, jailCommand } from "./jail.ts";
import { chainFiles, devicesOf, readOnly } from "./jail-files.ts";
import { claimDisk, handOverKeys, wipeKeys } from "./layer-files.ts";
import { hostBootId, isAlive, killProcess, type ProcessIdentity } from "./process-identity.ts";
import {
  type Accelerator,
  FILE_NAMES,
  layerName,
  MACHINE_MODEL,
  qemuArguments,
  toolArguments,
} from "./qemu-arguments.ts";
import { LOG_FILE, QemuMachine } from "./qemu-machine.ts";
import { QmpClient } from "./qmp-client.ts";
import { joinSavedStates } from "./saved-state.ts";
import { spawnJailed } from "./spawn-jailed.ts";
import { UidRange } from "./uid-range.ts";

export interface QemuHypervisorOptions extends BaseRamOptions {
  /** Holds QEMU's `usr/` and nothing of this machine. */
  vmmRoot: string;
  /** QEMU as seen inside that root. */
  qemuPath: string;
  /** Content key and version of the root, for the fingerprint. */
  vmmKey: string;
  accelerator: Accelerator;
  /** Memory-backed, short: the paths of sockets in it must stay below 108 bytes. */
  runRoot: string;
  uids: { first: number; count: number };
}

const MONITOR_TIMEOUT_MS = 10_000;

export class QemuHypervisor implements Hypervisor {
  readonly isolation: Isolation;
  readonly fingerprint: string;
  readonly #options: QemuHypervisorOptions;
  readonly #uids: UidRange;
  readonly #baseRam: BaseRam;
  /** Machines of this life, by run directory; without one while they start. */
  readonly #live = new Map<string, QemuMachine | undefined>();
  readonly #bootId = hostBootId();

  constructor(options: QemuHypervisorOptions) {
    this.#options = options;
    this.#uids = new UidRange(options.uids);
    this.#baseRam = new BaseRam(options);
    this.isolation = options.accelerator === "kvm" ? "hardware" : "emulated";
    this.fingerprint = `qemu ${options.vmmKey} ${MACHINE_MODEL} ${options.accelerator}`;
  }

  async launch(spec: LaunchSpec): Promise<Machine> {
    const { start, disk, view } = spec;
    const run = await this.#prepareRun(spec.machineId, [
      ...(disk.kind === "encrypted" ? [["d", disk] as const] : []),
      ...(view === undefined ? [] : [["v", view] as const]),
    ]);
    try {
      if (disk.kind === "raw") {
        await chown(disk.path, run.uid, run.uid);
        await chmod(disk.path, 0o600);
      }
      const base = await this.#baseRam.provide(spec);
      const command = await this.#command(spec, run, base.baseRamPath);
      const { identity, qmp } = await run.spawn(command, spec.signal);
      const record: MachineRecord = {
        machineId: spec.machineId,
        runDirectory: run.directory,
        ...identity,
        hostBootId: this.#bootId,
        uid: run.uid,
        templateId: templateOf(start)?.templateId ?? null,
        ...base,
        isBooted: start.kind === "boot",
        fingerprint: this.fingerprint,
      };
      const machine = new QemuMachine({ record, qmp, start, onGone: run.release });
      this.#live.set(run.directory, machine);
      if (start.kind === "saved" || start.kind === "unpacked") openFrozen(qmp, disk);
      return machine;
    } catch (cause) {
      throw await run.failed(cause, spec.signal);
    }
  }

  unpack(state: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<UnpackedState> {
    return this.#baseRam.unpack(state, options);
  }

  joinStates(base: AsyncIterable<Uint8Array>, over: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return joinSavedStates(base, over);
  }

  async flattenDisk(disk: EncryptedDisk, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const top = disk.layers.at(-1);
    if (top === undefined) throw new AtollError("vm.start_failed", "a disk without layers");
    const run = await this.#prepareRun(`flatten-${randomBytes(8).toString("hex")}`, [["d", disk]]);
    try {
      const command = toolArguments(
        this.#options.qemuPath,
        disk.layers.map(({ layerId }) => layerId),
      );
      const { identity, qmp } = await run.spawn(
        // Nobody waits for it, and it shares the processors with people's machines.
        ["nice", "-n", "10", ...this.#jailed(run, chainFiles("d", disk), undefined, command)],
        signal,
      );
      try {
        await new BlockGraph(qmp).flattenInto(top.layerId, 0, signal);
      } finally {
        qmp.close();
        await killProcess(identity);
      }
    } catch (cause) {
      throw await run.failed(cause, signal);
    }
    await run.release();
  }

  async adopt(record: MachineRecord): Promise<Machine | undefined> {
    if (record.hostBootId !== this.#bootId || !isAlive(record)) return undefined;
    this.#uids.claim(record.uid);
    this.#live.set(record.runDirectory, undefined);
    const release = async () => {
      this.#live.delete(record.runDirectory);
      await rm(record.runDirectory, { recursive: true, force: true });
      await this.#baseRam.giveBack(record.machineId);
      this.#uids.giveBack(record.uid);
    };
    try {
      const qmp = await QmpClient.connect(join(record.runDirectory, "qmp.sock"), {
        timeoutMs: MONITOR_TIMEOUT_MS,
      });
      const machine = new QemuMachine({ record, qmp, start: undefined, onGone: release });
      this.#live.set(record.runDirectory, machine);
      return machine;
    } catch {
      // Alive but without a monitor it can neither be paused nor watched.
      await killProcess(record);
      await release();
      return undefined;
    }
  }

  async letGo(): Promise<void> {
    for (const machine of this.#live.values()) machine?.letGo();
    this.#live.clear();
  }

  async reap(isSpared: (machineId: string) => boolean = () => false): Promise<void> {
    await mkdir(this.#options.runRoot, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#options.runRoot);
    const left = names
      .filter((name) => !isSpared(name))
      .map((name) => join(this.#options.runRoot, name))
      .filter((path) => !this.#live.has(path));
    for (const jailed of await findJailed(left)) await killProcess(jailed);
    for (const directory of left) {
      await wipeKeys(directory);
      await rm(directory, { recursive: true, force: true });
    }
    await this.#baseRam.reap(
      (machineId) => isSpared(machineId) || this.#live.has(join(this.#options.runRoot, machineId)),
    );
  }

  /** A uid, a run directory, and what the disks of this process need; `release` takes it all back. */
  async #prepareRun(name: string, disks: readonly (readonly [ChainName, EncryptedDisk])[]): Promise<Run> {
    const directory = join(this.#options.runRoot, name);
    if (this.#live.has(directory)) throw new AtollError("vm.start_failed", `${name} runs already`);
    const uid = this.#uids.lend();
    this.#live.set(directory, undefined);
    const release = async () => {
      await wipeKeys(directory);
      await rm(directory, { recursive: true, force: true });
      await this.#baseRam.giveBack(name);
      this.#live.delete(directory);
      this.#uids.giveBack(uid);
    };
    const failed = async (cause: unknown, signal: AbortSignal | undefined) => {
      const detail = await readFile(join(directory, LOG_FILE), "utf8").catch(() => "");
      // Also what never got as far as to report itself.
      for (const jailed of await findJailed([directory])) await killProcess(jailed);
      await release();
      if (signal?.aborted) return signal.reason;
      if (cause instanceof AtollError && cause.code !== "vm.start_failed") return cause;
      return new AtollError("vm.start_failed", `QEMU did not start: ${detail.trim().slice(-500)}`, { cause });
    };
    const spawn: Run["spawn"] = async (command, signal) => {
      const identity = await spawnJailed(command, { logPath: join(directory, LOG_FILE), signal });
      const qmp = await connectWhenReady(directory, identity, { signal });
      // It answers its monitor, so it has read the keys.
      await wipeKeys(directory);
      return { identity, qmp };
    };
    try {
      await mkdir(this.#options.runRoot, { recursive: true, mode: 0o700 });
      await mkdir(directory, { mode: 0o700 });
      for (const [chain, disk] of disks) {
        await claimDisk(disk, uid);
        await handOverKeys(disk.layers, chain, directory, uid);
      }
      await chown(directory, uid, uid);
    } catch (error) {
      throw await failed(error, undefined);
    }
    return { directory, uid, spawn, release, failed };
  }

  async #command(spec: LaunchSpec, run: Run, baseRamPath: string): Promise<[string, ...string[]]> {
    const { image, disk, view, start } = spec;
    const { accelerator, qemuPath } = this.#options;
    const isBaking = start.kind === "boot" && start.templateRamPath !== undefined;
    if (isBaking) {
      await chown(baseRamPath, run.uid, run.uid);
      await chmod(baseRamPath, 0o600);
    }
    const files: JailFile[] = [
      readOnly(image.kernelPath, FILE_NAMES.kernel),
      readOnly(image.initramfsPath, FILE_NAMES.initramfs),
      ...image.layerPaths.map((path, index) => readOnly(path, layerName(index))),
      { source: baseRamPath, name: FILE_NAMES.ram, isWritable: isBaking },
      ...(disk.kind === "raw"
        ? [{ source: disk.path, name: FILE_NAMES.disk, isWritable: true }]
        : chainFiles("d", disk)),
      ...(view === undefined ? [] : chainFiles("v", view)),
      ...devicesOf(start),
    ];
    const kvmGroup = accelerator === "kvm" ? (await stat("/dev/kvm")).gid : undefined;
    return this.#jailed(
      run,
      files,
      kvmGroup,
      qemuArguments({
        qemuPath,
        accelerator,
        size: spec.size,
        kernelArguments: image.kernelArguments,
        layerCount: image.layerPaths.length,
        disk: disk.kind === "raw" ? "raw" : disk.layers.map(({ layerId }) => layerId),
        view: view === undefined ? "empty" : view.layers.map(({ layerId }) => layerId),
        ram: isBaking ? "shared" : "private",
        isIncoming: start.kind !== "boot",
      }),
    );
  }

  #jailed(
    { directory, uid }: Run,
    files: readonly JailFile[],
    kvmGroup: number | undefined,
    command: readonly string[],
  ): [string, ...string[]] {
    const { vmmRoot } = this.#options;
    return jailCommand({ vmmRoot, runDirectory: directory, files, uid, kvmGroup, command });
  }
}

/** A process to be: what it is given and how it is ended if it does not come up. */
interface Run {
  directory: string;
  uid: number;
  /** Starts it and waits for its monitor; the keys it was handed are gone then. */
  spawn(
    command: readonly [string, ...string[]],
    signal: AbortSignal | undefined,
  ): Promise<{ identity: ProcessIdentity; qmp: QmpClient }>;
  release(): Promise<void>;
  /** Ends and releases it; answers what to throw. */
  failed(cause: unknown, signal: AbortSignal | undefined): Promise<unknown>;
}

/** Beside what else there is to do until the state is there. */
function openFrozen(qmp: QmpClient, disk: LaunchSpec["disk"]): void {
  const frozen = disk.kind === "encrypted" ? disk.layers.at(-2) : undefined;
  if (frozen !== undefined) new BlockGraph(qmp).activateSoon(frozen.layerId);
}
