import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { MONITOR_TIMEOUT_MS } from "./quiesce-guest.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** For the largest machines on a slow disk; a bound, not an expectation. */
const SEAL_BASE_MS = 60_000;
const SEAL_PER_MEGABYTE_MS = 100;

export function memoryStepTimeoutMs(core: WorkspaceCore): number {
  return SEAL_BASE_MS + core.record.size.memoryMb * SEAL_PER_MEGABYTE_MS;
}

/**
 * Of a workspace paused in memory: its memory goes to the disk, sealed, and nothing of it stays in RAM. When that fails
 * it is paused as before and says why; the caller tries again.
 */
export async function sealWorkspace(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const { source, clock, logger } = core.dependencies;
  const { machine, record } = core;
  if (record.state !== "paused" || record.pausedIn !== "memory") return;
  if (machine === undefined) {
    const lostMemory = { code: "vm.gone", atMs: clock.now() };
    return core.transition("memory_gone", "vm_exited", { machine: null, errorCode: "vm.gone", lostMemory });
  }
  try {
    // What a restart of hostd forgot.
    core.reservation ??= await core.step(
      "reserve",
      (bounded) => source.reserve(core.request(bounded), core.disk, machine),
      { timeoutMs: MONITOR_TIMEOUT_MS, signal, onLate: (late) => late[Symbol.dispose]() },
    );
    core.mayBeSealed = true;
    const snapshot = await core.step(
      "seal",
      (bounded) => source.seal(core.request(bounded), core.disk, machine),
      { timeoutMs: memoryStepTimeoutMs(core), signal },
    );
    const { reason } = core.record;
    core.detach(new AtollError("workspace.not_running"));
    await core.transition("sealed", reason, {
      pausedIn: "disk",
      sealsAtMs: null,
      snapshot,
      machine: null,
      errorCode: null,
    });
  } catch (cause) {
    const error = toAtollError(cause);
    // Whoever came first needs the machine, or ends it; that is no fault.
    if (signal.aborted) throw error;
    logger.error({ workspaceId: record.workspaceId, code: error.code, err: error }, "sealing failed");
    if (core.record.state === "paused" && core.machine === machine) {
      await core.transition("seal_failed", core.record.reason, { errorCode: error.code });
    }
    throw error;
  }
}
