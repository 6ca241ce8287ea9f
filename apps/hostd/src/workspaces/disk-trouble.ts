import type { StateReason } from "@atoll/protocol/workspace-status";
import type { Machine, MachineEvent } from "../hypervisor/hypervisor.ts";
import type { Operation } from "./operation-queue.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** How often what was refused is tried again: the guest runs for the moment that takes. */
const RETRY_EVERY_MS = 5000;
/** A guest that went on for this long without being refused again has written what it had to. */
const SETTLED_MS = 2000;
/**
 * Room comes back, a disk that fails seldom does; and once the kernel could not write what it had taken, the file may
 * never be trusted again. A disk that only hiccuped is back by then.
 */
const FAILED_MAX_MS = 30_000;
/** A guest that sees errors sees many. */
const TELL_EVERY_MS = 60_000;

export interface DiskTroubleOptions {
  core: () => WorkspaceCore;
  /** In the workspace's turn. */
  run: (operation: Operation<void>) => void;
  /** The disk does not take what the guest has to write. */
  onFailed: (machine: Machine) => void;
}

/**
 * Of a running workspace whose writes the host's disk refuses. The guest stands still and is not blamed for being silent;
 * it goes on when the disk takes what it refused.
 */
export class DiskTrouble implements Disposable {
  readonly #options: DiskTroubleOptions;
  #machine: Machine | undefined;
  #sinceMs = 0;
  #reasonBefore: StateReason = "host_restarted";
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #cancel = () => {};

  constructor(options: DiskTroubleOptions) {
    this.#options = options;
  }

  met(machine: Machine, { code, isStanding }: Extract<MachineEvent, { type: "disk_error" }>): void {
    const core = this.#core;
    const { clock, logger } = core.dependencies;
    // In a start or a pause it is that operation's to fail.
    if (core.machine !== machine) return;
    const now = clock.monotonic();
    if (now - this.#toldAtMs >= TELL_EVERY_MS) {
      this.#toldAtMs = now;
      logger.error({ workspaceId: core.record.workspaceId, code, isStanding }, "the host's disk refused");
      core.notice(code);
    }
    if (isStanding) this.#stand(machine, code);
  }

  /** After a restart of hostd: one that stood still may do so again, or has gone on meanwhile. */
  recovered(): void {
    const { machine, record } = this.#core;
    if (machine === undefined || record.state !== "running" || record.reason !== "host_disk") return;
    this.#stand(machine, record.errorCode === "host.disk_failed" ? "host.disk_failed" : "host.disk_full");
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  get #core(): WorkspaceCore {
    return this.#options.core();
  }

  #stand(machine: Machine, code: NonNullable<WorkspaceCore["refusedBy"]>): void {
    const core = this.#core;
    const { clock } = core.dependencies;
    const isNew = this.#machine !== machine || core.refusedBy !== code;
    this.#machine = machine;
    core.refusedBy = code;
    core.link?.hold(true);
    if (isNew) {
      // Only what goes on without a break counts against a disk that fails.
      this.#sinceMs = clock.monotonic();
      this.#options.run(async () => {
        const { state, reason } = core.record;
        if (core.refusedBy !== code || state !== "running") return;
        if (reason !== "host_disk") this.#reasonBefore = reason;
        await core.transition("disk_refused", "host_disk", { errorCode: code });
      });
    }
    if (code === "host.disk_failed" && clock.monotonic() - this.#sinceMs >= FAILED_MAX_MS) {
      this.#cancel();
      this.#options.onFailed(machine);
      return;
    }
    this.#later(RETRY_EVERY_MS, () => this.#options.run((signal) => this.#tryAgain(machine, signal)));
  }

  /** In the workspace's turn: nobody else has stopped this machine for a purpose of his own. */
  async #tryAgain(machine: Machine, signal: AbortSignal): Promise<void> {
    const core = this.#core;
    if (core.machine !== machine || core.refusedBy === undefined || core.record.state !== "running") return;
    // First, so that what is refused again puts it off.
    this.#later(SETTLED_MS, () => this.#options.run(() => this.#goneOn(machine)));
    await machine.start(signal);
  }

  async #goneOn(machine: Machine): Promise<void> {
    const core = this.#core;
    if (core.machine !== machine || core.refusedBy === undefined) return;
    core.refusedBy = undefined;
    this.#machine = undefined;
    core.link?.hold(false);
    if (core.record.state === "running") {
      await core.transition("disk_took", this.#reasonBefore, { errorCode: null });
    }
  }

  #later(delayMs: number, work: () => void): void {
    this.#cancel();
    this.#cancel = this.#core.dependencies.clock.schedule(delayMs, work);
  }
}
