/**
 * What the operations of one workspace share: its record, its machine and link while it has them, and its status.
 * Records are written before they are believed; every change is announced after it.
 */
import type { Clock } from "@atoll/base/clock";
import type { AtollError } from "@atoll/protocol/atoll-error";
import type { IncomingOpen } from "@atoll/protocol/mux";
import type { StartStage, StateReason, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { Logger } from "pino";
import type { Hypervisor, Machine } from "../hypervisor/hypervisor.ts";
import { GuestLink } from "../link/guest-link.ts";
import type { MachineRequest, MachineSource, WorkspaceDisk } from "../machines/machine-source.ts";
import type { Admission } from "./admission.ts";
import { guestIdentity } from "./guest-identity.ts";
import { IdleCountdown } from "./idle-countdown.ts";
import type { WorkspaceJournal } from "./journal/workspace-journal.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import type { StageTimings } from "./stage-timings.ts";
import { nextState, type WorkspaceEvent } from "./workspace-state.ts";

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
  timings: StageTimings;
  clock: Clock;
  logger: Logger;
  createOutbound: (core: WorkspaceCore) => GuestOutbound;
  onStatus: (status: WorkspaceStatus) => void;
  onNotice: (workspaceId: string, code: string) => void;
  /** True once the host shuts down: nothing starts any more. */
  isDraining: () => boolean;
}

export interface WorkspaceEvents {
  onIdle: () => void;
  onMachineExit: (machine: Machine) => void;
  onLinkAbandoned: (link: GuestLink, error: AtollError) => void;
}

type RecordPatch = Partial<Omit<WorkspaceRecord, "format" | "workspaceId" | "state" | "reason" | "sinceMs">>;

/** Of things that happened whether or not the disk took the note. */
const FACTS: ReadonlySet<WorkspaceEvent> = new Set([
  "paused",
  "stopped",
  "vm_lost",
  "start_failed",
  "pause_failed",
]);

export class WorkspaceCore {
  readonly dependencies: WorkspaceDependencies;
  readonly idle: IdleCountdown;
  readonly outbound: GuestOutbound;
  readonly #events: WorkspaceEvents;
  #record: WorkspaceRecord;
  #stage: StartStage | undefined;
  #machine: Machine | undefined;
  #link: GuestLink | undefined;
  #sessionCount = 0;
  #writes: Promise<void> = Promise.resolve();

  constructor(record: WorkspaceRecord, dependencies: WorkspaceDependencies, events: WorkspaceEvents) {
    this.#record = record;
    this.dependencies = dependencies;
    this.#events = events;
    this.idle = new IdleCountdown(record.idlePauseSeconds, {
      clock: dependencies.clock,
      onIdle: () => events.onIdle(),
      onChange: () => this.announce(),
    });
    this.outbound = dependencies.createOutbound(this);
  }

  get record(): Readonly<WorkspaceRecord> {
    return this.#record;
  }

  get machine(): Machine | undefined {
    return this.#machine;
  }

  get link(): GuestLink | undefined {
    return this.#link;
  }

  get status(): WorkspaceStatus {
    const record = this.#record;
    const { pausesAtMs } = this.idle;
    return {
      workspaceId: record.workspaceId,
      ownerId: record.ownerId,
      state: record.state,
      reason: record.reason,
      sinceMs: record.sinceMs,
      generation: record.generation,
      ...(this.#stage === undefined ? {} : { stage: this.#stage }),
      ...(record.errorCode === null ? {} : { errorCode: record.errorCode }),
      ...(record.startedBy === null || record.state !== "running" ? {} : { startedBy: record.startedBy }),
      sessionCount: this.#sessionCount,
      ...(pausesAtMs === undefined ? {} : { pausesAtMs }),
      isolation: this.dependencies.hypervisor.isolation,
      egress: record.egress,
    };
  }

  /** What the machine source is asked with. */
  request(signal?: AbortSignal): MachineRequest {
    const { workspaceId, ownerId, image, size } = this.#record;
    return { workspaceId, ownerId, image, size, ...(signal === undefined ? {} : { signal }) };
  }

  /** @throws TypeError when the workspace never had a disk: callers check the record first. */
  get disk(): WorkspaceDisk {
    const { disk } = this.#record;
    if (disk === null) throw new TypeError("workspace without a disk");
    return disk;
  }

  async transition(event: WorkspaceEvent, reason: StateReason, patch: RecordPatch = {}): Promise<void> {
    await this.#write(FACTS.has(event), () => {
      const state = nextState(this.#record.state, event);
      const sinceMs = state === this.#record.state ? this.#record.sinceMs : this.dependencies.clock.now();
      return { ...this.#record, ...patch, state, reason, sinceMs };
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

  setSessionCount(count: number): void {
    if (count === this.#sessionCount) return;
    this.#sessionCount = count;
    this.announce();
  }

  announce(): void {
    this.dependencies.onStatus(this.status);
  }

  /** From now on the machine's end is this workspace's business, and its RAM is counted. */
  attach(machine: Machine): GuestLink {
    const { clock } = this.dependencies;
    this.#machine = machine;
    void machine.exited.then(() => this.#events.onMachineExit(machine));
    const { workspaceId, slug, linkToken } = this.#record;
    const notice = (code: string) => this.dependencies.onNotice(workspaceId, code);
    let isDegraded = false;
    const link: GuestLink = new GuestLink({
      machine,
      identity: guestIdentity(workspaceId, slug),
      linkToken,
      egress: () => this.#record.egress,
      onOpen: (open) => this.outbound.onOpen(open),
      onUp: () => {
        if (isDegraded) notice("link.restored");
        isDegraded = false;
      },
      onDown: (error) => this.dependencies.logger.warn({ workspaceId, code: error.code }, "guest link lost"),
      onDegraded: () => {
        isDegraded = true;
        notice("link.lost");
      },
      onAbandoned: (error) => this.#events.onLinkAbandoned(link, error),
      clock,
    });
    this.#link = link;
    return link;
  }

  /** Streams end with `error`, the machine's end is no news any more. Returns the machine, which the caller ends. */
  detach(error: AtollError): Machine | undefined {
    const machine = this.#machine;
    this.#machine = undefined;
    this.#link?.close(error);
    this.#link = undefined;
    this.idle.disarm();
    this.dependencies.admission.release(this.#record.workspaceId);
    return machine;
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
    });
    this.#writes = write.catch(() => {});
    return write;
  }
}
