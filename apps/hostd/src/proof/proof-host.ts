/** One life of hostd in a simulated world: the real registry, source, key store and journal over simulated machines. */

import { Scope } from "@atoll/base/scope";
import { type FileOps, withFileOps } from "@atoll/durable/file-ops";
import { replaceFile } from "@atoll/durable/replace-file";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import { processRun } from "@atoll/protocol/messages/process";
import type { IncomingOpen, Mux } from "@atoll/protocol/mux";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { type Logger, pino } from "pino";
import { hostBootId } from "../hypervisor/qemu/process-identity.ts";
import { HostLease } from "../lease/host-lease.ts";
import { leasedFileOps } from "../lease/leased-file-ops.ts";
import { LeasedHypervisor } from "../lease/leased-hypervisor.ts";
import { prepareGuest } from "../link/prepare-guest.ts";
import { rehearseGuest } from "../link/rehearse-guest.ts";
import { LocalMachineSource } from "../machines/local-machine-source.ts";
import { restorePaths } from "../views/restore-paths.ts";
import type { ViewUse } from "../views/view.ts";
import { ViewRegistry } from "../views/view-registry.ts";
import { Admission, freeDiskBytesOf } from "../workspaces/admission.ts";
import { WorkspaceJournal } from "../workspaces/journal/workspace-journal.ts";
import type { Guard } from "../workspaces/operation-queue.ts";
import { StageTimings } from "../workspaces/stage-timings.ts";
import { WorkspaceRegistry } from "../workspaces/workspace-registry.ts";
import type { SimHost } from "./world/sim-host.ts";
import { SimHypervisor } from "./world/sim-hypervisor.ts";
import { CONTENT_MARK, type Life } from "./world/sim-world.ts";

export const IMAGE = { key: "image", kernelPath: "", initramfsPath: "", layerPaths: [], kernelArguments: "" };
const PAUSE_GRACE_MS = 60_000;
const RUN_TIMEOUT_MS = 60_000;

export interface ProofHostOptions {
  directory: string;
  machines: SimHost;
  life: Life;
  onStatus: (status: WorkspaceStatus) => void;
}

interface Held {
  keys: LocalKeyStore;
  journal: WorkspaceJournal;
  lease: HostLease;
  underLease: Guard;
}

export class ProofHost {
  readonly life: Life;
  readonly keys: LocalKeyStore;
  readonly lease: HostLease;
  readonly source: LocalMachineSource;
  readonly registry: WorkspaceRegistry;
  readonly views: ViewRegistry;
  readonly faults: unknown[] = [];

  /** Everything up to serving: opens what is there and recovers. Call it inside the life. */
  static async open(options: ProofHostOptions): Promise<ProofHost> {
    const { life } = options;
    const lease = await HostLease.acquire({
      directory: options.directory,
      clock: clockOf(life),
      // As hostd's own entry does: a process that lost ends, whatever it is at.
      onLost: () => {
        life.world.note(`${life.number} LOST its lease`);
        life.die();
      },
      // In a pid namespace that is not known here: only its silence tells that it ended.
      holder: { pid: 1000 + life.number, startTicks: "1", place: `${hostBootId()} sim` },
    });
    life.world.tookLease(life);
    const ops = leasedFileOps(lease);
    life.around = (work) => withFileOps(ops, work);
    return withFileOps(ops, () => ProofHost.#open(options, lease, ops));
  }

  static async #open(options: ProofHostOptions, lease: HostLease, ops: FileOps): Promise<ProofHost> {
    const underLease: Guard = async (operation) => {
      await lease.check();
      return withFileOps(ops, operation);
    };
    const keys = await LocalKeyStore.open({
      directory: `${options.directory}/keys`,
      clock: clockOf(options.life),
    });
    const journal = new WorkspaceJournal({
      directory: `${options.directory}/journal`,
      writeDurably: (path, bytes) => withFileOps(ops, () => replaceFile(path, bytes)),
      onUnreadable: (path) => options.life.world.violation(`I4: unreadable record ${path}`),
    });
    const host = new ProofHost(options, { keys, journal, lease, underLease });
    await host.registry.recover(await journal.open());
    return host;
  }

  private constructor(options: ProofHostOptions, { keys, journal, lease, underLease }: Held) {
    const { directory, machines, life } = options;
    const clock = clockOf(life);
    const hypervisor = new LeasedHypervisor(
      new SimHypervisor(machines, life, `sim ${machines.vmmVersion}`),
      lease,
    );
    this.life = life;
    this.keys = keys;
    this.lease = lease;
    this.source = new LocalMachineSource({
      dataDirectory: directory,
      hypervisor,
      keys,
      images: {
        currentKeys: new Set([IMAGE.key]),
        byName: async (name) => {
          if (name !== "base") throw new AtollError("image.unknown");
          return IMAGE;
        },
        byKey: async () => IMAGE,
      },
      qemuImgCommand: ["qemu-img"],
      scratchDirectory: `${directory}/scratch`,
      prepareGuest: (machine, { signal }) => prepareGuest(machine, { signal, clock }),
      rehearseGuest: (machine, given) => rehearseGuest(machine, { ...given, clock }),
      warm: { image: "base", size: SIZE },
      poolSize: 1,
      checkLease: () => lease.check(),
      onFault: (error) => this.faults.push(error),
      clock,
    });
    const logger: Logger = pino(
      { level: "warn" },
      {
        write: (line: string) => {
          const { msg, code, err } = JSON.parse(line) as {
            msg: string;
            code?: string;
            err?: { message: string };
          };
          if (line.includes(CONTENT_MARK)) life.world.violation(`I7: content of a guest in the log: ${line}`);
          life.world.note(`${life.number} LOG ${msg} ${code ?? ""} ${err?.message ?? ""}`);
        },
      },
    );
    const admission = new Admission({
      memoryMb: 16_384,
      overcommit: 1,
      diskReserveBytes: 1000,
      freeDiskBytes: freeDiskBytesOf(directory),
    });
    const createOutbound = () => ({
      onOpen: (open: IncomingOpen) => void open.accept(),
      presetChanged: () => {},
    });
    this.views = new ViewRegistry({ source: this.source, createOutbound, admission, clock, logger });
    this.registry = new WorkspaceRegistry({
      journal,
      source: this.source,
      hypervisor,
      admission,
      timings: new StageTimings(),
      underLease,
      pauseGraceMs: PAUSE_GRACE_MS,
      endCurrentViews: (workspaceId) => this.views.endCurrent(workspaceId),
      clock,
      logger,
      createOutbound,
      onStatus: options.onStatus,
      onNotice: () => {},
      endSessions: (workspaceId, error) => this.views.endWorkspace(workspaceId, error),
      checkImage: () => {},
    });
  }

  /** The answer of a user's command in the guest. @throws AtollError */
  run(workspaceId: string, ...argv: string[]): Promise<string> {
    return this.#run(this.registry.get(workspaceId).guest?.mux, argv);
  }

  /** What a view shows. @throws AtollError */
  async look(workspaceId: string, checkpointId: string | null): Promise<string[]> {
    const view: ViewUse = this.views.open(this.registry.get(workspaceId), checkpointId);
    try {
      await view.ready;
      return JSON.parse(await this.#run(view.guest?.mux, ["view"])) as string[];
    } finally {
      view.release();
    }
  }

  /** As the route does; the safety checkpoint is the caller's. @throws AtollError */
  restoreFile(workspaceId: string, checkpointId: string, path: string) {
    const workspace = this.registry.get(workspaceId);
    return restorePaths(this.views, workspace, {
      checkpointId,
      paths: [`/${path}`],
      clock: clockOf(this.life),
    });
  }

  async deleteCheckpoint(workspaceId: string, checkpointId: string): Promise<void> {
    await this.registry.get(workspaceId).deleteCheckpoint(checkpointId);
    await this.views.endCheckpoint(workspaceId, checkpointId);
  }

  /** As at SIGTERM. */
  async drain(): Promise<void> {
    await this.registry.drain();
    await using scope = new Scope();
    scope.own(this.lease);
    scope.own(this.source);
    scope.defer(() => this.registry.close());
    scope.own(this.views);
  }

  async #run(mux: Mux | undefined, argv: string[]): Promise<string> {
    if (mux === undefined) throw new AtollError("workspace.not_running");
    const clock = clockOf(this.life);
    const options = { timeoutMs: RUN_TIMEOUT_MS, clock };
    const channel = await openChannel(mux, processRun, { argv, timeoutMs: RUN_TIMEOUT_MS }, options);
    channel.stream.end();
    let output = "";
    for await (const item of channel.items()) {
      if (item.kind === "data") output += Buffer.from(item.bytes).toString("utf8");
    }
    if (output === "") throw new AtollError("link.lost", "the command was not answered");
    return output;
  }
}

export const SIZE = { cpus: 1, memoryMb: 512, diskMb: 64 };

/** Short, so that schedules get as far as archives. */
const RETENTION = { stopAfterPausedSeconds: 1500, archiveAfterStoppedSeconds: 1500 };

export function createBody(overrides: Partial<CreateWorkspace> & { ownerId: string }): CreateWorkspace {
  return {
    slug: "proof",
    image: "base",
    ...SIZE,
    egress: "off",
    idlePauseSeconds: 600,
    retention: RETENTION,
    ...overrides,
  };
}

function clockOf(life: Life) {
  return life.world.clock.for((run) => () => {
    if (life.isDead) return;
    if (life.isFrozen) life.lateTimers.push(run);
    else life.run(run);
  });
}

export function codeOf(error: unknown): string {
  return toAtollError(error).code;
}
