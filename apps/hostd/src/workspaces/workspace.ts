/**
 * One workspace as the rest of hostd sees it. Its operations run one after another, each may be repeated, and each sees
 * the state as it is at its turn: of two resumes the second finds the work done.
 * Length: it is the list of those operations; each is done in a file of its own.
 */
import { randomUUID } from "node:crypto";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo, Erasure, updateWorkspace } from "@atoll/protocol/hostd-api";
import type { StateReason, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { z } from "zod";
import type { WorkMeter } from "../idle/work-meter.ts";
import type { GuestLink } from "../link/guest-link.ts";
import type { CheckpointOwner, ForkOrigin, MachineSource, Point } from "../machines/machine-source.ts";
import { archiveWorkspace, unarchiveDisk } from "./archive-workspace.ts";
import { captureWorkspace } from "./capture-workspace.ts";
import {
  type CheckpointWish,
  checkpointWorkspace,
  deleteCheckpoint,
  listCheckpoints,
} from "./checkpoint-workspace.ts";
import { DiskTrouble } from "./disk-trouble.ts";
import { DueTimer } from "./due-timer.ts";
import { type DueKind, dueTimes } from "./due-times.ts";
import { eraseWorkspace, erasureOf } from "./erase-workspace.ts";
import { flattenWorkspace } from "./flatten-workspace.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import { MachineMishaps } from "./machine-mishaps.ts";
import { type Operation, OperationQueue } from "./operation-queue.ts";
import { pauseWorkspace } from "./pause-workspace.ts";
import { recoverWorkspace } from "./recover-workspace.ts";
import { type RestoreWish, restoreWorkspace } from "./restore-workspace.ts";
import { sealWorkspace } from "./seal-workspace.ts";
import { startWorkspace } from "./start-workspace.ts";
import { stopWorkspace } from "./stop-workspace.ts";
import { WorkspaceCore, type WorkspaceDependencies } from "./workspace-core.ts";

const AUTOMATIC_NAME = "Automatic";
/** How soon "is there work since" is asked again. */
const NO_WORK_LOOK_AGAIN_MS = 60_000;
const LEASE_DETAIL = "kept awake";
/** Whoever wants to start meanwhile ends it at once. */
const WHILE_OFF_MS = 120_000;
/** What has a deadline that people were told is not tried less often than this. */
const END_RETRY_MAX_MS = 30_000;
/** Nothing that runs in the workspace's turn holds these up. */
const ENDS: ReadonlySet<string> = new Set<DueKind>(["expire", "erase"]);

export class Workspace {
  readonly #core: WorkspaceCore;
  readonly #queue: OperationQueue;
  readonly #timer: DueTimer;
  readonly #endTimer: DueTimer;
  readonly #diskTrouble: DiskTrouble;
  readonly #expire: () => Promise<unknown>;

  /** @param expire erases this workspace with everything that belongs to that */
  constructor(record: WorkspaceRecord, dependencies: WorkspaceDependencies, expire: () => Promise<unknown>) {
    this.#expire = expire;
    this.#queue = new OperationQueue(dependencies.underLease ?? ((operation) => operation()));
    const { clock } = dependencies;
    const onDue = (kind: DueKind) => this.#due(kind);
    this.#timer = new DueTimer({ clock, onDue });
    this.#endTimer = new DueTimer({ clock, onDue, retryMaxMs: END_RETRY_MAX_MS });
    const run = (operation: Operation<void>) => void this.#queue.run(operation).catch(this.#logFault);
    const mishaps: MachineMishaps = new MachineMishaps({
      core: () => this.#core,
      run,
      startAgain: () => void this.start("guest_halted").catch(this.#logFault),
    });
    this.#diskTrouble = new DiskTrouble({
      core: () => this.#core,
      run,
      onFailed: (machine) => mishaps.diskFailed(machine),
    });
    this.#core = new WorkspaceCore(record, dependencies, {
      onIdle: () => void this.#pauseIdle(),
      onRecord: (changed) => this.#plan(changed),
      onMachineExit: (machine) => mishaps.exited(machine),
      onMachineStuck: (machine, error) => mishaps.stuck(machine, error),
      onDiskError: (machine, event) => this.#diskTrouble.met(machine, event),
      onLinkAbandoned: (link, error) => mishaps.abandoned(link, error),
    });
  }

  get id(): string {
    return this.#core.record.workspaceId;
  }

  get record(): Readonly<WorkspaceRecord> {
    return this.#core.record;
  }

  get status(): WorkspaceStatus {
    return this.#core.status;
  }

  /** The guest's link while streams may be opened on it. */
  get guest(): GuestLink | undefined {
    return this.#core.record.state === "running" ? this.#core.link : undefined;
  }

  get isDeleted(): boolean {
    return this.#core.record.tombstone !== null;
  }

  /** What counts as work is told here. */
  get meter(): Pick<WorkMeter, "markInput" | "markPreview" | "markApi"> {
    return this.#core.idle;
  }

  /** @throws AtollError workspace.not_running when it never had a disk */
  get checkpointOwner(): CheckpointOwner {
    return this.#core.checkpointOwner;
  }

  /** As it runs at this moment; whatever comes of it is looked at again at the fork's turn. */
  get forkOrigin(): ForkOrigin | undefined {
    const { machine, record } = this.#core;
    if (this.isDeleted || machine === undefined || record.state !== "running") return undefined;
    return { owner: this.checkpointOwner, machine, size: record.size };
  }

  setSessionCount(count: number): void {
    this.#core.setSessionCount(count);
  }

  /** Resolves when it is running. @throws AtollError */
  async start(reason: StateReason, generation?: number): Promise<void> {
    this.#check(generation);
    const { endCurrentViews } = this.#core.dependencies;
    // One that is being opened has the turn before this.
    if (this.record.state !== "running") endCurrentViews(this.id).catch(this.#logFault);
    return this.#queue.run(
      async (signal) => {
        this.#check(generation);
        if (this.record.state === "running") return;
        if (this.#core.dependencies.isDraining()) throw new AtollError("host.draining");
        await startWorkspace(this.#core, { reason, signal });
      },
      { isUrgent: true },
    );
  }

  /** Resolves when it is paused in memory, and without a grace time once it is sealed. */
  pause(reason: StateReason, generation?: number): Promise<void> {
    return this.#queue.run(async (signal) => {
      this.#check(generation);
      await this.#pause(reason, this.#core.dependencies.pauseGraceMs, signal);
    });
  }

  /** For a host that goes: nothing stays in memory. */
  async pauseToDisk(reason: StateReason): Promise<void> {
    await this.#queue.run(async (signal) => {
      this.#check(undefined);
      await this.#pause(reason, 0, signal);
      await sealWorkspace(this.#core, signal);
    });
  }

  stop(reason: StateReason, generation?: number): Promise<void> {
    return this.#queue.run(
      async (signal) => {
        this.#check(generation);
        if (["stopped", "archived"].includes(this.record.state)) return;
        await stopWorkspace(this.#core, { reason, signal });
      },
      { isUrgent: true },
    );
  }

  checkpoint(
    checkpointId: string,
    wish: Omit<CheckpointWish, "checkpointId" | "kind"> & Partial<Pick<CheckpointWish, "kind">>,
  ): Promise<CheckpointInfo> {
    return this.#withDisk(async (signal) => {
      const info = await checkpointWorkspace(this.#core, { kind: "named", ...wish, checkpointId }, signal);
      this.#flattenSoon();
      return info;
    });
  }

  async listCheckpoints(): Promise<Awaited<ReturnType<MachineSource["listCheckpoints"]>>> {
    this.#check(undefined);
    return listCheckpoints(this.#core, new AbortController().signal);
  }

  deleteCheckpoint(checkpointId: string): Promise<void> {
    return this.#withDisk((signal) => deleteCheckpoint(this.#core, checkpointId, signal));
  }

  restore(wish: RestoreWish & { generation?: number | undefined }): Promise<void> {
    return this.#withDisk(
      async (signal) => {
        if (this.record.lastRestoreId === wish.safetyCheckpointId) return;
        this.#check(wish.generation);
        if (this.#core.dependencies.isDraining()) throw new AtollError("host.draining");
        await restoreWorkspace(this.#core, wish, signal);
        this.#flattenSoon();
      },
      { isUrgent: true },
    );
  }

  /** For a fork: the present state with its memory if there is any; what runs goes on. */
  capture(): Promise<Point> {
    const captured = Promise.withResolvers<Point>();
    let isGiven = false;
    const onPoint = (point: Point) => {
      isGiven = true;
      captured.resolve(point);
    };
    const options = { withMemory: true, letRun: "after", onPoint } as const;
    this.#withDisk(async (signal) => {
      await this.#core.during("fork", () => captureWorkspace(this.#core, { ...options, signal }));
      // Each leaves a layer behind.
      this.#flattenSoon();
    }).catch((cause: unknown) => (isGiven ? this.#logFault(cause) : captured.reject(cause)));
    return captured.promise;
  }

  /**
   * Nothing starts meanwhile, so `work` has a deadline and obeys its signal, or is left behind.
   * @throws AtollError view.unavailable while it has a machine
   */
  whileOff<T>(
    work: (owner: CheckpointOwner, signal: AbortSignal) => Promise<T>,
    options: { signal: AbortSignal; onLate: (result: NoInfer<T>) => unknown },
  ): Promise<T> {
    const run = async (ofTurn: AbortSignal): Promise<T> => {
      const signal = AbortSignal.any([ofTurn, options.signal]);
      signal.throwIfAborted();
      if (this.#core.machine !== undefined) throw new AtollError("view.unavailable", "it has a machine");
      if (this.record.isArchived) {
        await unarchiveDisk(this.#core, signal);
        if (this.record.state === "archived") await this.#core.transition("stopped", this.record.reason);
      }
      const { checkpointOwner } = this.#core;
      return this.#core.step("work while off", (bounded) => work(checkpointOwner, bounded), {
        timeoutMs: WHILE_OFF_MS,
        signal,
        onLate: options.onLate,
      });
    };
    // A restore ends views before it goes on, those that wait behind it among them.
    return this.#withDisk(run, { waiting: options.signal });
  }

  /** A lease of the interface or API, in place of the one before; 0 ends it. Survives a restart of hostd. */
  async keepAwake(seconds: number): Promise<void> {
    this.#check(undefined);
    this.#core.idle.keepAwake(seconds, LEASE_DETAIL);
    await this.#core.update({ lease: this.#lease });
  }

  /** As the journal has it. */
  get #lease(): WorkspaceRecord["lease"] {
    const untilMs = this.#core.idle.leaseUntilMs;
    return untilMs === undefined ? null : { untilMs, detail: LEASE_DETAIL };
  }

  async update(patch: z.infer<typeof updateWorkspace>): Promise<void> {
    this.#check(undefined);
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    if (patch.keepAwakeMaxSeconds !== undefined) {
      this.#core.idle.setLeaseMaxSeconds(patch.keepAwakeMaxSeconds);
    }
    await this.#core.update({ ...given, lease: this.#lease });
    if (patch.egress !== undefined) this.#core.outbound.presetChanged();
    if (patch.idlePauseSeconds !== undefined) this.#core.idle.setIdleSeconds(patch.idlePauseSeconds);
  }

  /** Durable before it resolves; from then on everything but the erasure is refused, and what runs is aborted. */
  async entomb(): Promise<void> {
    if (this.isDeleted) return;
    const requestedAtMs = this.#core.dependencies.clock.now();
    await this.#core.update({ tombstone: { requestedAtMs, keyDestroyedAtMs: null, dataUnlinkedAtMs: null } });
    this.#queue.abortAll(new AtollError("workspace.deleted"));
  }

  /** Behind `entomb`. Undefined when there never was a key. */
  erase(): Promise<Erasure | undefined> {
    return this.#queue.run(
      async () => {
        await eraseWorkspace(this.#core);
        return erasureOf(this.record);
      },
      { isUrgent: true },
    );
  }

  /** Once, after hostd started, before any other operation. What takes long goes on after it resolved. */
  async recover(): Promise<void> {
    try {
      const rest = await this.#queue.run(() => recoverWorkspace(this.#core));
      this.#diskTrouble.recovered();
      if (rest !== undefined) void this.#queue.run(rest).catch(this.#logFault);
    } finally {
      this.#plan(this.record);
    }
  }

  /** Nothing happens by itself any more. Its machine is left as it is. */
  close(): void {
    this.#timer[Symbol.dispose]();
    this.#endTimer[Symbol.dispose]();
    this.#diskTrouble[Symbol.dispose]();
    this.#core.letGo();
  }

  /** At once and without a note, whatever is under way. */
  endMachine(error: AtollError): Promise<void> {
    return this.#core.endMachine(error);
  }

  async #pause(
    reason: StateReason,
    graceMs: number,
    signal: AbortSignal,
    isWanted?: () => boolean,
  ): Promise<void> {
    const { state } = this.record;
    if (state === "paused") return;
    if (state !== "running") throw new AtollError("workspace.not_running");
    await pauseWorkspace(this.#core, { reason, graceMs, signal, ...(isWanted && { isWanted }) });
    // A failed sealing is no failed pause: the timer tries again.
    if (graceMs === 0) await sealWorkspace(this.#core, signal).catch(this.#logFault);
  }

  #plan(record: Readonly<WorkspaceRecord>): void {
    const due = Object.entries(dueTimes(record));
    this.#timer.update(Object.fromEntries(due.filter(([kind]) => !ENDS.has(kind))));
    this.#endTimer.update(Object.fromEntries(due.filter(([kind]) => ENDS.has(kind))));
  }

  #check(generation: number | undefined): void {
    if (this.isDeleted) throw new AtollError("workspace.deleted");
    if (generation !== undefined && generation < this.record.generation) {
      throw new AtollError("workspace.stale_generation", undefined, {
        details: { generation: this.record.generation },
      });
    }
  }

  #withDisk<T>(
    operation: Operation<T>,
    options: { isUrgent?: boolean; waiting?: AbortSignal } = {},
  ): Promise<T> {
    return this.#queue.run(async (signal) => {
      this.#check(undefined);
      if (this.record.disk === null) throw new AtollError("workspace.not_running", "it never ran");
      return operation(signal);
    }, options);
  }

  async #pauseIdle(): Promise<void> {
    await this.#queue
      .run(async (signal) => {
        // The user may have come back while this waited for its turn.
        if (this.record.state !== "running" || this.isDeleted || !this.#core.idle.isIdle) return;
        if (this.#core.refusedBy !== undefined) return;
        const isWanted = () => this.#core.idle.isIdle;
        await this.#pause("idle", this.#core.dependencies.pauseGraceMs, signal, isWanted);
      })
      .catch((cause: unknown) => {
        // Or while it was being stopped.
        if (toAtollError(cause).code !== "request.aborted") this.#logFault(cause);
      });
  }

  /** Each looks again at its turn: what made it due may have passed. */
  async #due(kind: DueKind): Promise<void> {
    const isStillDue = () =>
      (dueTimes(this.record)[kind] ?? Number.POSITIVE_INFINITY) <= this.#core.dependencies.clock.now();
    if (kind === "expire" || kind === "erase") return void (await this.#expire());
    if (kind === "checkpoint") return this.#checkpointBySelf();
    const operation: Operation<void> = async (signal) => {
      if (!isStillDue()) return;
      if (kind === "seal") return sealWorkspace(this.#core, signal);
      if (kind === "stop") return stopWorkspace(this.#core, { reason: "retention", signal });
      return archiveWorkspace(this.#core, signal);
    };
    if (kind === "stop") await this.#queue.run(operation);
    else await this.#queue.runInBackground("urgent", operation);
  }

  async #checkpointBySelf(): Promise<void> {
    const { idle } = this.#core;
    const { checkpointedAtMs, sinceMs } = this.record;
    if ((idle.lastWorkAtMs ?? 0) <= (checkpointedAtMs ?? sinceMs)) {
      this.#timer.skip("checkpoint", NO_WORK_LOOK_AGAIN_MS);
      return;
    }
    await this.#withDisk(async (signal) => {
      if (this.record.state !== "running") return;
      const wish = { name: AUTOMATIC_NAME, kind: "automatic", withMemory: false } as const;
      await checkpointWorkspace(this.#core, { ...wish, checkpointId: randomUUID() }, signal);
      await this.#core.update({ checkpointedAtMs: this.#core.dependencies.clock.now() });
    });
    this.#flattenSoon();
  }

  #flattenSoon(): void {
    this.#queue
      .runInBackground("any", (signal) => flattenWorkspace(this.#core, signal))
      .catch((cause: unknown) => {
        const { code } = toAtollError(cause);
        // It gave way; the next checkpoint asks again.
        if (!["workspace.busy", "workspace.deleted", "request.aborted"].includes(code)) this.#logFault(cause);
      });
  }

  readonly #logFault = (cause: unknown) => {
    const error = toAtollError(cause);
    this.#core.dependencies.logger.error(
      { workspaceId: this.id, code: error.code, err: error },
      "operation failed",
    );
  };
}
