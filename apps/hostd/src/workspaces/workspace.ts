/**
 * One workspace as the rest of hostd sees it. Its operations run one after another, each may be repeated, and each sees
 * the state as it is at its turn: of two resumes the second finds the work done.
 */
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { Erasure, updateWorkspace } from "@atoll/protocol/hostd-api";
import type { StateReason, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { z } from "zod";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { GuestLink } from "../link/guest-link.ts";
import { eraseWorkspace, erasureOf } from "./erase-workspace.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import { pauseWorkspace } from "./pause-workspace.ts";
import { recoverWorkspace } from "./recover-workspace.ts";
import { startWorkspace } from "./start-workspace.ts";
import { stopWorkspace } from "./stop-workspace.ts";
import { WorkspaceCore, type WorkspaceDependencies } from "./workspace-core.ts";

/** Operations waiting for their turn. A caller that repeats itself faster than this is refused. */
const QUEUE_MAX = 32;
/** How the hypervisor names a guest that rebooted; it ends the process all the same. */
const GUEST_RESET = "guest-reset";
const REBOOTS_MAX = 3;
const REBOOT_WINDOW_MS = 10 * 60_000;

export class Workspace {
  readonly #core: WorkspaceCore;
  #queue: Promise<unknown> = Promise.resolve();
  #queued = 0;
  #abort = new AbortController();
  #rebootsAt: number[] = [];

  constructor(record: WorkspaceRecord, dependencies: WorkspaceDependencies) {
    this.#core = new WorkspaceCore(record, dependencies, {
      onIdle: () => void this.#pauseIdle(),
      onMachineExit: (machine) => void this.#run(() => this.#machineExited(machine)).catch(this.#logFault),
      onLinkAbandoned: (link, error) =>
        void this.#run(() => this.#abandoned(link, error)).catch(this.#logFault),
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

  setSessionCount(count: number): void {
    this.#core.setSessionCount(count);
  }

  /** Keeps it from pausing for idleness until the returned function is called. */
  holdAwake(): () => void {
    return this.#core.idle.hold();
  }

  /** Resolves when it is running. @throws AtollError */
  start(reason: StateReason, generation?: number): Promise<void> {
    return this.#run(async (signal) => {
      this.#check(generation);
      if (this.#core.record.state === "running") return;
      if (this.#core.dependencies.isDraining()) throw new AtollError("host.draining");
      await startWorkspace(this.#core, { reason, signal });
    });
  }

  pause(reason: StateReason, generation?: number): Promise<void> {
    return this.#run(async (signal) => {
      this.#check(generation);
      const { state } = this.#core.record;
      if (state === "paused") return;
      if (state !== "running") throw new AtollError("workspace.not_running");
      await pauseWorkspace(this.#core, { reason, signal });
    });
  }

  stop(reason: StateReason, generation?: number): Promise<void> {
    return this.#run(async (signal) => {
      this.#check(generation);
      if (this.#core.record.state === "stopped") return;
      await stopWorkspace(this.#core, { reason, signal });
    });
  }

  async update(patch: z.infer<typeof updateWorkspace>): Promise<void> {
    this.#check(undefined);
    const { egress, idlePauseSeconds } = patch;
    await this.#core.update({
      ...(egress === undefined ? {} : { egress }),
      ...(idlePauseSeconds === undefined ? {} : { idlePauseSeconds }),
    });
    if (egress !== undefined) this.#core.outbound.presetChanged();
    if (idlePauseSeconds !== undefined) this.#core.idle.setIdleSeconds(idlePauseSeconds);
  }

  /** Durable before it resolves; from then on everything but the erasure is refused, and what runs is aborted. */
  async entomb(): Promise<void> {
    if (this.#core.record.tombstone !== null) return;
    const requestedAtMs = this.#core.dependencies.clock.now();
    await this.#core.update({ tombstone: { requestedAtMs, keyDestroyedAtMs: null, dataUnlinkedAtMs: null } });
    this.#abort.abort(new AtollError("workspace.deleted"));
    this.#abort = new AbortController();
  }

  /** Behind `entomb`. Undefined when there never was a key. */
  erase(): Promise<Erasure | undefined> {
    return this.#run(async () => {
      await eraseWorkspace(this.#core);
      return erasureOf(this.#core);
    });
  }

  /** Once, after hostd started, before any other operation. */
  recover(): Promise<void> {
    return this.#run(() => recoverWorkspace(this.#core));
  }

  #check(generation: number | undefined): void {
    if (this.isDeleted) throw new AtollError("workspace.deleted");
    if (generation !== undefined && generation < this.#core.record.generation) {
      throw new AtollError("workspace.stale_generation", undefined, {
        details: { generation: this.#core.record.generation },
      });
    }
  }

  #run<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#queued >= QUEUE_MAX) return Promise.reject(new AtollError("workspace.busy"));
    this.#queued += 1;
    const result = this.#queue.then(() => operation(this.#abort.signal));
    this.#queue = result.then(
      () => {
        this.#queued -= 1;
      },
      () => {
        this.#queued -= 1;
      },
    );
    return result;
  }

  async #pauseIdle(): Promise<void> {
    await this.#run(async (signal) => {
      const { state } = this.#core.record;
      // The user may have come back while this waited for its turn.
      if (state !== "running" || this.isDeleted) return;
      if (this.#core.idle.isHeld) return this.#core.idle.arm();
      await pauseWorkspace(this.#core, { reason: "idle", signal });
    }).catch(this.#logFault);
  }

  async #machineExited(machine: Machine): Promise<void> {
    if (this.#core.machine !== machine) return;
    const exit = await machine.exited;
    this.#core.detach(new AtollError("vm.gone"));
    this.#core.dependencies.logger.warn({ workspaceId: this.id, ...exit }, "machine exited");
    if (exit.reason !== "guest_halted") {
      return this.#core.transition("vm_lost", "vm_exited", { machine: null, errorCode: "vm.gone" });
    }
    await this.#core.transition("stopped", "guest_halted", { machine: null });
    if (exit.detail === GUEST_RESET && this.#mayReboot()) {
      this.start("guest_halted").catch(this.#logFault);
    }
  }

  /** A guest that panics at every boot must not keep the host booting. */
  #mayReboot(): boolean {
    const now = this.#core.dependencies.clock.monotonic();
    this.#rebootsAt = this.#rebootsAt.filter((at) => now - at < REBOOT_WINDOW_MS);
    if (this.#rebootsAt.length >= REBOOTS_MAX) return false;
    this.#rebootsAt.push(now);
    return true;
  }

  async #abandoned(link: GuestLink, error: AtollError): Promise<void> {
    if (this.#core.link !== link) return;
    const machine = this.#core.detach(error);
    await machine?.kill();
    await this.#core.transition("vm_lost", "vm_exited", { machine: null, errorCode: error.code });
  }

  readonly #logFault = (cause: unknown) => {
    const error = toAtollError(cause);
    this.#core.dependencies.logger.error(
      { workspaceId: this.id, code: error.code, err: error },
      "operation failed",
    );
  };
}
