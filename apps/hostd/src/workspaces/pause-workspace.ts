import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { coreQuiesce, coreThaw } from "@atoll/protocol/messages/core";
import type { StateReason } from "@atoll/protocol/workspace-status";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { SnapshotRef } from "../machines/machine-source.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** Syncing a guest's dirty pages to an emulated disk. */
const QUIESCE_TIMEOUT_MS = 30_000;
const THAW_TIMEOUT_MS = 5000;

/**
 * Seals a running workspace and ends its process. Whatever fails on the way, the guest is thawed and goes on running.
 * Session streams end only once the pause succeeded.
 */
export async function pauseWorkspace(
  core: WorkspaceCore,
  options: { reason: StateReason; signal: AbortSignal },
): Promise<void> {
  const { reason, signal } = options;
  const { source, clock } = core.dependencies;
  const { machine, link, record } = core;
  const mux = link?.mux;
  if (machine === undefined || mux === undefined) {
    // A countdown that led here starts over.
    core.idle.arm();
    throw new AtollError("link.lost", "no agent to quiesce");
  }
  const previousReason = record.reason;
  core.idle.disarm();
  let snapshot: SnapshotRef;
  try {
    await core.transition("pause_begun", reason, { generation: record.generation + 1 });
    const { frozen } = await call(mux, coreQuiesce, {}, { timeoutMs: QUIESCE_TIMEOUT_MS, signal, clock });
    if (!frozen) throw new AtollError("vm.monitor_failed", "the guest's disk could not be frozen");
    signal.throwIfAborted();
    link?.expectLoss(new AtollError("workspace.not_running"));
    snapshot = await source.pause(core.request(), core.disk, machine);
  } catch (cause) {
    const error = toAtollError(cause);
    core.dependencies.logger.error(
      { workspaceId: record.workspaceId, code: error.code, err: error },
      "pause failed",
    );
    await letGoOn(core, machine);
    if (core.record.state === "pausing") {
      const isDiskFull = error.code === "host.disk_full";
      await core.transition("pause_failed", isDiskFull ? "disk_full" : previousReason, {
        errorCode: error.code,
      });
    }
    core.idle.arm();
    throw error;
  }
  core.detach(new AtollError("workspace.not_running"));
  await core.transition("paused", reason, { snapshot, machine: null, errorCode: null });
}

/** vCPUs run and the disk is thawed, or the link is shaken anew, which thaws too. A machine that died is its watcher's. */
async function letGoOn(core: WorkspaceCore, machine: Machine): Promise<void> {
  const { clock } = core.dependencies;
  core.link?.expectLoss(undefined);
  try {
    await machine.start();
    const mux = core.link?.mux;
    if (mux !== undefined) await call(mux, coreThaw, {}, { timeoutMs: THAW_TIMEOUT_MS, clock });
  } catch (cause) {
    core.link?.restart(new AtollError("link.lost", "thaw was not answered", { cause }));
  }
}
