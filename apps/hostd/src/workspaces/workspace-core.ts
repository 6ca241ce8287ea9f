/**
 * What the operations of one workspace share: its record, its machine and link while it has them, and its status.
 * Records are written before they are believed; every change is announced after it.
 * Length: record, machine and link change together; in pieces they would have to be kept in step.
 */
import type { Clock } from "@atoll/base/clock";
import type { LimitedTurns } from "@atoll/base/limited-turns";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { IncomingOpen } from "@atoll/protocol/mux";
import type { StartStage, StateReason, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { Logger } from "pino";
import { diskError } from "../disks/disk-error.ts";
import type { DiskRefusal, Hypervisor, Machine, MachineEvent } from "../hypervisor/hypervisor.ts";
import { sampleGuest } from "../idle/sample-guest.ts";
import { WorkMeter } from "../idle/work-meter.ts";
import { GuestLink } from "../link/guest-link.ts";
import type {
  CheckpointOwner,
  MachineRequest,
  MachineSource,
  Point,
  PreparedFork,
  SpaceReservation,
  WorkspaceDisk,
} from "../machines/machine-source.ts";
import type { Admission } from "./admission.ts";
import { boundedStep } from "./bounded-step.ts";
import { guestIdentity } from "./guest-identity.ts";
import type { WorkspaceJournal } from "./journal/workspace-journal.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import { MachineWatchdog } from "./machine-watchdog.ts";
import type { Guard } from "./operation-queue.ts";
import type { StageTimings } from "./stage-timings.ts";
import { nextState, type WorkspaceEvent } from "./workspace-state.ts";
import { workspaceStatusOf } from "./workspace-status-of.ts";

/** What a workspace's guest may do towards the outside. */
export interface GuestOutbound {
  onOpen(open: IncomingOpen): void;
  /** The preset changed: connections it no longer allows are cut. */
  presetChanged(): void;
}

export interface WorkspaceDependencies {
  journal: WorkspaceJournal;
  source: MachineSource;
  hypervisor: Pick<Hypervisor, "adopt" | "isolation">;
  admission: Admission;
  /**
   * Of restored guests that wake up: each keeps a core busy until its agent has answered, and more at once than there are
   * cores make all of them late. Bounded by the workspaces that admission lets start.
   */
  startTurns: LimitedTurns;
  /**
   * Of forks whose origin is open: each loads a whole memory. A class that begins at once has its first machines after
   * seconds, where all together none had any before the last.
   */
  forkTurns: LimitedTurns;
  timings: StageTimings;
  clock: Clock;
  logger: Logger;
  /** How long a paused workspace's memory stays where it is before it is sealed. */
  pauseGraceMs: number;
  createOutbound: (core: WorkspaceCore) => GuestOutbound;
  /** Where another workspace, or a template, can be begun from. Its keys and memory are in it: dispose of it. */
  openOrigin: (record: Readonly<WorkspaceRecord>, signal: AbortSignal) => Promise<Point>;
  /** Where it runs: begins beside capturing it. Dispose of it when the fork is there. */
  prepareOrigin: (record: Readonly<WorkspaceRecord>, request: MachineRequest) => PreparedFork | undefined;
  /** Ends views of the workspace's disk as it lies there: it is about to be written. */
  endCurrentViews: (workspaceId: string) => Promise<void>;
  onStatus: (status: WorkspaceStatus) => void;
  onNotice: (workspaceId: string, code: string) => void;
  /** Around each operation; refuses once another host has these workspaces. */
  underLease?: Guard;
  /** True once the host shuts down: nothing starts any more. */
  isDraining: () => boolean;
}

export interface WorkspaceEvents {
  onIdle: () => void;
  onRecord: (record: Readonly<WorkspaceRecord>) => void;
  onMachineExit: (machine: Machine) => void;
  onMachineStuck: (machine: Machine, error: AtollError) => void;
  onDiskError: (machine: Machine, event: Extract<MachineEvent, { type: "disk_error" }>) => void;
  onLinkAbandoned: (link: GuestLink, error: AtollError) => void;
}

export type RecordPatch = Partial<
  Omit<WorkspaceRecord, "format" | "workspaceId" | "state" | "reason" | "sinceMs">
>;

/** Of things that happened whether or not the disk took the note. */
const FACTS: ReadonlySet<WorkspaceEvent> = new Set([
  "paused",
  "sealed",
  "seal_failed",
  "stopped",
  "vm_lost",
  "memory_gone",
  "start_failed",
  "found_paused",
  "found_stopped",
  "found_archived",
  "pause_failed",
  "pause_refused",
  "disk_refused",
  "disk_took",
]);

/** The driver itself gives up on a process that hangs in the kernel after a minute. */
const KILL_TIMEOUT_MS = 70_000;

export class WorkspaceCore {
  readonly dependencies: WorkspaceDependencies;
  readonly idle: WorkMeter;
  readonly outbound: GuestOutbound;
  /** Promised to the pause under way, or to the sealing that follows it. */
  reservation: SpaceReservation | undefined;
  /** A sealing of the present pause was begun, in this life or maybe in an earlier one. */
  mayBeSealed = false;
  /** The host's disk refused a write of the guest, which stands still until it is taken. */
  refusedBy: DiskRefusal | undefined;
  readonly #events: WorkspaceEvents;
  readonly #watchdog: MachineWatchdog;
  #stuck = new AbortController();
  #record: WorkspaceRecord;
  #stage: StartStage | undefined;
  #operation: WorkspaceStatus["operation"];
  #machine: Machine | undefined;
  #stopListening = () => {};
  #link: GuestLink | undefined;
  #sessionCount = 0;
  #writes: Promise<void> = Promise.resolve();

  constructor(record: WorkspaceRecord, dependencies: WorkspaceDependencies, events: WorkspaceEvents) {
    this.#record = record;
    this.dependencies = dependencies;
    this.#events = events;
    const { clock } = dependencies;
    this.idle = new WorkMeter({
      clock,
      idlePauseSeconds: record.idlePauseSeconds,
      leaseMaxSeconds: record.keepAwakeMaxSeconds,
      sample: sampleGuest(() => this.#link?.mux, clock),
      onIdle: () => events.onIdle(),
      onChange: () => this.announce(),
    });
    if (record.lease !== null) this.idle.restoreLease(record.lease.untilMs, record.lease.detail);
    this.#watchdog = new MachineWatchdog({
      clock,
      onStuck: (machine, error) => {
        this.#stuck.abort(error);
        events.onMachineStuck(machine, error);
      },
    });
    this.outbound = dependencies.createOutbound(this);
  }

  get record(): Readonly<WorkspaceRecord> {
    return this.#record;
  }

  get machine(): Machine | undefined {
    return this.#machine;
  }

  /** Of the present machine: its monitor obeys nothing, so whoever waits for its guest waits in vain. */
  get stuck(): AbortSignal {
    return this.#stuck.signal;
  }

  get link(): GuestLink | undefined {
    return this.#link;
  }

  get status(): WorkspaceStatus {
    return workspaceStatusOf(this.#record, {
      stage: this.#stage,
      operation: this.#operation,
      sessionCount: this.#sessionCount,
      work: this.idle.status,
      isolation: this.dependencies.hypervisor.isolation,
    });
  }

  /** What the machine source is asked with. */
  request(signal?: AbortSignal): MachineRequest {
    const { workspaceId, ownerId, image, size } = this.#record;
    return { workspaceId, ownerId, image, size, ...(signal === undefined ? {} : { signal }) };
  }

  /** @throws AtollError workspace.not_running when it never had a disk */
  get disk(): WorkspaceDisk {
    const { disk } = this.#record;
    if (disk === null) throw new AtollError("workspace.not_running", "the workspace never had a disk");
    return disk;
  }

  /** @throws AtollError workspace.not_running when it never had a disk */
  get checkpointOwner(): CheckpointOwner {
    const { workspaceId, ownerId } = this.#record;
    return { workspaceId, ownerId, disk: this.disk };
  }

  /**
   * One step of an operation that somebody else does: with a deadline, and left behind when it obeys nothing. What the
   * host's disk refused on the way has its name.
   */
  async step<T>(
    name: string,
    work: (signal: AbortSignal) => Promise<T>,
    options: { timeoutMs: number; signal: AbortSignal; onLate?: (result: NoInfer<T>) => unknown },
  ): Promise<T> {
    try {
      return await boundedStep(work, { name, clock: this.dependencies.clock, ...options });
    } catch (error) {
      throw diskError(error);
    }
  }

  async transition(event: WorkspaceEvent, reason: StateReason, patch: RecordPatch = {}): Promise<void> {
    await this.#write(FACTS.has(event), () => {
      const state = nextState(this.#record.state, event);
      const sinceMs = state === this.#record.state ? this.#record.sinceMs : this.dependencies.clock.now();
      const form = state === "paused" ? {} : { pausedIn: null, sealsAtMs: null };
      return { ...this.#record, ...form, ...patch, state, reason, sinceMs };
    });
    const { workspaceId, state, generation } = this.#record;
    this.dependencies.logger.info({ workspaceId, event, state, reason, generation }, "workspace changed");
  }

  async update(patch: RecordPatch): Promise<void> {
    await this.#write(false, () => ({ ...this.#record, ...patch }));
  }

  setStage(stage: StartStage | undefined): void {
    this.#stage = stage;
    this.announce();
  }

  /** Shows it in the status while `work` runs. */
  async during<T>(
    kind: NonNullable<WorkspaceStatus["operation"]>["kind"],
    work: () => Promise<T>,
  ): Promise<T> {
    this.#operation = { kind, startedAtMs: this.dependencies.clock.now() };
    this.announce();
    try {
      return await work();
    } finally {
      this.#operation = undefined;
      this.announce();
    }
  }

  setSessionCount(count: number): void {
    if (count === this.#sessionCount) return;
    this.#sessionCount = count;
    this.announce();
  }

  announce(): void {
    this.dependencies.onStatus(this.status);
  }

  notice(code: string): void {
    this.dependencies.onNotice(this.#record.workspaceId, code);
  }

  /** From now on the machine's end is this workspace's business; its RAM is counted by the caller. */
  attach(machine: Machine): GuestLink {
    const { clock, logger } = this.dependencies;
    this.#link?.close(new AtollError("link.lost"));
    if (this.#machine !== machine) {
      this.#machine = machine;
      void machine.exited.then(() => this.#events.onMachineExit(machine));
      this.#stopListening();
      this.#stopListening = machine.onEvent((event) => {
        if (event.type === "disk_error") this.#events.onDiskError(machine, event);
      });
      this.#stuck = new AbortController();
      this.#watchdog.watch(machine);
    }
    const { workspaceId, slug, linkToken } = this.#record;
    let isDegraded = false;
    const link: GuestLink = new GuestLink({
      machine,
      identity: guestIdentity(workspaceId, slug),
      linkToken,
      egress: () => this.#record.egress,
      onOpen: (open) => this.outbound.onOpen(open),
      onUp: () => {
        if (isDegraded) this.notice("link.restored");
        isDegraded = false;
      },
      onDown: (error) => logger.warn({ workspaceId, code: error.code }, "guest link lost"),
      onDegraded: () => {
        isDegraded = true;
        this.notice("link.lost");
      },
      onAbandoned: (error) => this.#events.onLinkAbandoned(link, error),
      clock,
    });
    this.#link = link;
    return link;
  }

  /** The machine stays, standing still: streams end with `error`. */
  closeLink(error: AtollError): void {
    this.idle.disarm();
    this.#link?.close(error);
    this.#link = undefined;
  }

  /** Streams end with `error`, the machine's end is no news any more. Returns the machine, which the caller ends. */
  detach(error: AtollError): Machine | undefined {
    const machine = this.#machine;
    this.#machine = undefined;
    this.refusedBy = undefined;
    this.#stopListening();
    this.#watchdog.end();
    this.closeLink(error);
    this.releaseSpace();
    this.dependencies.admission.release(this.#record.workspaceId);
    return machine;
  }

  /** Ends the machine if there is one. @throws AtollError vm.monitor_failed when its process does not go */
  async endMachine(error: AtollError): Promise<void> {
    const machine = this.detach(error);
    if (machine !== undefined) await this.kill(machine);
  }

  /** Whatever else was told to stop. */
  async kill(machine: Machine): Promise<void> {
    await this.step("kill", () => machine.kill(), {
      timeoutMs: KILL_TIMEOUT_MS,
      signal: new AbortController().signal,
    });
  }

  /** This process stops looking after it; the machine goes on. */
  letGo(): void {
    this.#watchdog.end();
    this.idle.disarm();
  }

  releaseSpace(): void {
    this.reservation?.[Symbol.dispose]();
    this.reservation = undefined;
    this.mayBeSealed = false;
  }

  /** For the record: why it is idle, or was paused. */
  lastWork(): WorkspaceRecord["lastWork"] {
    return this.idle.status.lastWork ?? this.#record.lastWork;
  }

  /** Serialises writes, so that a tombstone set during another operation is never overwritten by it. */
  #write(isFact: boolean, next: () => WorkspaceRecord): Promise<void> {
    const write = this.#writes.then(async () => {
      const record = next();
      try {
        await this.dependencies.journal.writeWorkspace(record);
      } catch (error) {
        if (!isFact) throw error;
        this.dependencies.logger.error(
          { workspaceId: record.workspaceId, err: error },
          "journal write failed",
        );
      }
      this.#record = record;
      this.announce();
      this.#events.onRecord(record);
    });
    this.#writes = write.catch(() => {});
    return write;
  }
}
