import { AtollError } from "@atoll/protocol/atoll-error";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { GuestLink } from "../link/guest-link.ts";
import type { SnapshotRef } from "../machines/machine-source.ts";
import type { Operation } from "./operation-queue.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

const REBOOTS_MAX = 3;
const REBOOT_WINDOW_MS = 10 * 60_000;

export interface MachineMishapsOptions {
  core: () => WorkspaceCore;
  /** In the workspace's turn. */
  run: (operation: Operation<void>) => void;
  startAgain: () => void;
}

/** What becomes of a workspace whose machine ended, obeys nothing, or whose agent stays away. */
export class MachineMishaps {
  readonly #options: MachineMishapsOptions;
  #rebootsAt: number[] = [];

  constructor(options: MachineMishapsOptions) {
    this.#options = options;
  }

  exited(machine: Machine): void {
    this.#options.run(async () => {
      const core = this.#options.core();
      if (core.machine !== machine) return;
      const exit = await machine.exited;
      const snapshot = await this.#sealed(core);
      core.detach(new AtollError("vm.gone"));
      core.dependencies.logger.warn({ workspaceId: core.record.workspaceId, ...exit }, "machine exited");
      if (snapshot !== undefined) return this.#foundSealed(core, snapshot);
      if (exit.reason !== "guest_halted" && exit.reason !== "guest_reset") return this.#lost(core, "vm.gone");
      const isReset = exit.reason === "guest_reset";
      if (isReset && !this.#mayReboot(core)) {
        return core.transition("vm_lost", "guest_halted", { machine: null, errorCode: "vm.reboot_loop" });
      }
      await core.transition("stopped", "guest_halted", { machine: null });
      if (isReset) this.#options.startAgain();
    });
  }

  stuck(machine: Machine, error: AtollError): void {
    this.#options.run(async () => {
      const core = this.#options.core();
      if (core.machine !== machine) return;
      core.dependencies.logger.error(
        { workspaceId: core.record.workspaceId, err: error },
        "the monitor does not answer, ending the machine",
      );
      const snapshot = await this.#sealed(core);
      await this.#end(core, error);
      if (snapshot !== undefined) return this.#foundSealed(core, snapshot);
      await this.#lost(core, "vm.monitor_failed");
    });
  }

  abandoned(link: GuestLink, error: AtollError): void {
    this.#options.run(async () => {
      const core = this.#options.core();
      if (core.link !== link) return;
      const { workspaceId } = core.record;
      core.dependencies.logger.error({ workspaceId, err: error }, "the agent stays away, ending the machine");
      await this.#end(core, error);
      await this.#lost(core, "vm.agent_silent");
    });
  }

  /** Its disk takes nothing more: what it still has to write cannot be saved. */
  diskFailed(machine: Machine): void {
    this.#options.run(async () => {
      const core = this.#options.core();
      if (core.machine !== machine) return;
      const error = new AtollError("host.disk_failed");
      const { workspaceId } = core.record;
      core.dependencies.logger.error({ workspaceId }, "the disk takes no writes, ending the machine");
      await this.#end(core, error);
      await this.#lost(core, error.code);
    });
  }

  /**
   * A process that hangs in the kernel goes when the kernel lets it. Until then its disk's lock keeps every other from
   * opening it; the workspace has lost it now.
   */
  async #end(core: WorkspaceCore, error: AtollError): Promise<void> {
    try {
      await core.endMachine(error);
    } catch (cause) {
      const { workspaceId } = core.record;
      core.dependencies.logger.error({ workspaceId, err: cause }, "a machine does not end");
    }
  }

  /** A sealing whose answer was lost may have been committed: then its memory is not gone. */
  async #sealed(core: WorkspaceCore): Promise<SnapshotRef | undefined> {
    if (core.record.state !== "paused" || !core.mayBeSealed) return undefined;
    return core.dependencies.source.findSnapshot(core.record.workspaceId, core.disk).catch(() => undefined);
  }

  #foundSealed(core: WorkspaceCore, snapshot: SnapshotRef): Promise<void> {
    const patch = { pausedIn: "disk", sealsAtMs: null, snapshot, machine: null, errorCode: null } as const;
    return core.transition("sealed", core.record.reason, patch);
  }

  /** With its machine went its memory; saved files did not. */
  async #lost(core: WorkspaceCore, code: string): Promise<void> {
    const lostMemory = { code, atMs: core.dependencies.clock.now() };
    // One that was paused just loses what it was paused with.
    const event = core.record.state === "paused" ? "memory_gone" : "vm_lost";
    await core.transition(event, "vm_exited", { machine: null, errorCode: code, lostMemory });
  }

  /** A guest that panics at every boot must not keep the host booting. */
  #mayReboot(core: WorkspaceCore): boolean {
    const now = core.dependencies.clock.monotonic();
    this.#rebootsAt = this.#rebootsAt.filter((at) => now - at < REBOOT_WINDOW_MS);
    if (this.#rebootsAt.length >= REBOOTS_MAX) return false;
    this.#rebootsAt.push(now);
    return true;
  }
}
