import {
  chmod,
  chown,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { wipeFile } from "@atoll/keys/wipe-file";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Isolation } from "@atoll/protocol/workspace-status";
import { z } from "zod";
import type { Hypervisor, LaunchSpec, Machine, MachineRecord } from "../hypervisor.ts";
import { connectWhenReady } from "./connect-when-ready.ts";
import { hexText } from "./hex-text.ts";
import { type JailFile, jailCommand } from "./jail.ts";
import { hostBootId, isAlive, killProcess, type ProcessIdentity } from "./process-identity.ts";
import {
  type Accelerator,
  FILE_NAMES,
  KEY_FILE,
  layerName,
  MACHINE_MODEL,
  qemuArguments,
} from "./qemu-arguments.ts";
import { LOG_FILE, QemuMachine, TEMPLATE_STATE_NAME } from "./qemu-machine.ts";
import { QmpClient } from "./qmp-client.ts";
import { spawnJailed } from "./spawn-jailed.ts";
import { UidRange } from "./uid-range.ts";

export interface QemuHypervisorOptions {
  /** Holds QEMU's `usr/` and nothing of this machine. */
  vmmRoot: string;
  /** QEMU as seen inside that root. */
  qemuPath: string;
  /** Content key and version of the root, for the fingerprint. */
  vmmKey: string;
  accelerator: Accelerator;
  /** Memory-backed, short: the paths of sockets in it must stay below 108 bytes. */
  runRoot: string;
  /** For the empty files that machines without a template map as their RAM. Never written to. */
  emptyRamDirectory: string;
  uids: { first: number; count: number };
}

const PROCESS_FILE = "process.json";
const processFile = z.strictObject({ pid: z.number().int(), startTicks: z.string() });
const MONITOR_TIMEOUT_MS = 10_000;

export class QemuHypervisor implements Hypervisor {
  readonly isolation: Isolation;
  readonly fingerprint: string;
  readonly #options: QemuHypervisorOptions;
  readonly #uids: UidRange;
  /** Machines of this life, by run directory; without one while they start. */
  readonly #live = new Map<string, QemuMachine | undefined>();
  readonly #bootId = hostBootId();

  constructor(options: QemuHypervisorOptions) {
    this.#options = options;
    this.#uids = new UidRange(options.uids);
    this.isolation = options.accelerator === "kvm" ? "hardware" : "emulated";
    this.fingerprint = `qemu ${options.vmmKey} ${MACHINE_MODEL} ${options.accelerator}`;
  }

  async launch(spec: LaunchSpec): Promise<Machine> {
    const runDirectory = join(this.#options.runRoot, spec.machineId);
    const uid = this.#uids.lend();
    const release = async () => {
      this.#live.delete(runDirectory);
      await rm(runDirectory, { recursive: true, force: true });
      this.#uids.giveBack(uid);
    };
    let started: ProcessIdentity | undefined;
    try {
      this.#live.set(runDirectory, undefined);
      const baseRamPath = await this.#baseRam(spec);
      await this.#makeRunDirectory(runDirectory, uid, spec);
      started = await spawnJailed(await this.#command(spec, runDirectory, baseRamPath, uid), {
        logPath: join(runDirectory, LOG_FILE),
        signal: spec.signal,
      });
      await writeFile(join(runDirectory, PROCESS_FILE), JSON.stringify(started), { mode: 0o600 });
      const qmp = await connectWhenReady(runDirectory, started, { signal: spec.signal });
      // It answers its monitor, so it has read the key.
      await wipeFile(join(runDirectory, KEY_FILE));
      const record: MachineRecord = {
        machineId: spec.machineId,
        runDirectory,
        ...started,
        hostBootId: this.#bootId,
        uid,
        templateId: "template" in spec.start ? (spec.start.template?.templateId ?? null) : null,
        baseRamPath,
      };
      const machine = new QemuMachine({ record, qmp, start: spec.start, onGone: release });
      this.#live.set(runDirectory, machine);
      return machine;
    } catch (cause) {
      const detail = await readFile(join(runDirectory, LOG_FILE), "utf8").catch(() => "");
      if (started !== undefined) await killProcess(started);
      await release();
      if (spec.signal?.aborted) throw spec.signal.reason;
      if (cause instanceof AtollError && cause.code !== "vm.start_failed") throw cause;
      throw new AtollError("vm.start_failed", `QEMU did not start: ${detail.trim().slice(-500)}`, { cause });
    }
  }

  async adopt(record: MachineRecord): Promise<Machine | undefined> {
    if (record.hostBootId !== this.#bootId || !isAlive(record)) return undefined;
    this.#uids.claim(record.uid);
    this.#live.set(record.runDirectory, undefined);
    const release = async () => {
      this.#live.delete(record.runDirectory);
      await rm(record.runDirectory, { recursive: true, force: true });
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

  async reap(): Promise<void> {
    await mkdir(this.#options.runRoot, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#options.runRoot)) {
      const directory = join(this.#options.runRoot, name);
      if (this.#live.has(directory)) continue;
      const text = await readFile(join(directory, PROCESS_FILE), "utf8").catch(() => undefined);
      const identity = text === undefined ? undefined : processFile.safeParse(JSON.parse(text));
      if (identity?.success) await killProcess(identity.data);
      await wipeFile(join(directory, KEY_FILE));
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #makeRunDirectory(runDirectory: string, uid: number, spec: LaunchSpec): Promise<void> {
    await mkdir(this.#options.runRoot, { recursive: true, mode: 0o700 });
    await mkdir(runDirectory, { mode: 0o700 });
    if (spec.disk.kind === "encrypted") {
      const text = hexText(spec.disk.key);
      try {
        const path = join(runDirectory, KEY_FILE);
        await writeFile(path, text, { mode: 0o600, flag: "wx" });
        await chown(path, uid, uid);
      } finally {
        text.fill(0);
      }
    }
    await chown(spec.disk.path, uid, uid);
    await chmod(spec.disk.path, 0o600);
    await chown(runDirectory, uid, uid);
  }

  async #baseRam({ start, size }: LaunchSpec): Promise<string> {
    if (start.kind !== "boot" && start.template !== undefined) return start.template.ramPath;
    const sizeBytes = size.memoryMb * 1024 * 1024;
    const path =
      start.kind === "boot" && start.templateRamPath !== undefined
        ? start.templateRamPath
        : join(this.#options.emptyRamDirectory, `empty-${size.memoryMb}.ram`);
    if ((await stat(path).catch(() => undefined))?.size !== sizeBytes) {
      await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
      await (await open(path, "a", 0o444)).close();
      await truncate(path, sizeBytes);
    }
    return path;
  }

  async #command(
    spec: LaunchSpec,
    runDirectory: string,
    baseRamPath: string,
    uid: number,
  ): Promise<[string, ...string[]]> {
    const { image, disk, start } = spec;
    const { accelerator, qemuPath, vmmRoot } = this.#options;
    const isBaking = start.kind === "boot" && start.templateRamPath !== undefined;
    if (isBaking) {
      await chown(baseRamPath, uid, uid);
      await chmod(baseRamPath, 0o600);
    }
    const readOnly = (source: string, name: string): JailFile => ({ source, name, isWritable: false });
    const files: JailFile[] = [
      readOnly(image.kernelPath, FILE_NAMES.kernel),
      readOnly(image.initramfsPath, FILE_NAMES.initramfs),
      ...image.layerPaths.map((path, index) => readOnly(path, layerName(index))),
      { source: baseRamPath, name: FILE_NAMES.ram, isWritable: isBaking },
      { source: disk.path, name: FILE_NAMES.disk, isWritable: true },
      ...(disk.kind === "encrypted" ? [readOnly(disk.backingPath, FILE_NAMES.backing)] : []),
      ...(start.kind === "template" ? [readOnly(start.template.deviceStatePath, TEMPLATE_STATE_NAME)] : []),
    ];
    return jailCommand({
      vmmRoot,
      runDirectory,
      files,
      uid,
      kvmGroup: accelerator === "kvm" ? (await stat("/dev/kvm")).gid : undefined,
      command: qemuArguments({
        qemuPath,
        accelerator,
        size: spec.size,
        kernelArguments: image.kernelArguments,
        layerCount: image.layerPaths.length,
        disk: disk.kind,
        ram: isBaking ? "shared" : "private",
        isIncoming: start.kind !== "boot",
      }),
    });
  }
}
