import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { StateReason } from "@atoll/protocol/workspace-status";
import { letGoOn, MONITOR_TIMEOUT_MS, quiesceGuest, stopMachine } from "./quiesce-guest.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/**
 * Stops a running workspace with its memory where it is; `sealWorkspace` follows after the grace time. Room on the disk
 * is promised before the guest notices anything, and whatever fails on the way, the guest is thawed and goes on running.
 * Session streams end only once the pause succeeded.
 */
export async function pauseWorkspace(
  core: WorkspaceCore,
  options: { reason: StateReason; graceMs: number; signal: AbortSignal },
): Promise<void> {
  const { reason, graceMs, signal } = options;
  const { source, clock, logger } = core.dependencies;
  const { machine, record } = core;
  const previousReason = record.reason;
  if (machine === undefined || core.link?.mux === undefined) {
    throw new AtollError("link.lost", "no agent to quiesce");
  }
  try {
    core.reservation = await core.step(
      "reserve",
      (bounded) => source.reserve(core.request(bounded), core.disk, machine),
      { timeoutMs: MONITOR_TIMEOUT_MS, signal, onLate: (late) => late[Symbol.dispose]() },
    );
    await core.transition("pause_begun", reason, { generation: record.generation + 1 });
    await quiesceGuest(core, signal);
    await stopMachine(core, machine, signal);
    signal.throwIfAborted();
  } catch (cause) {
    const error = toAtollError(cause);
    logger.error({ workspaceId: record.workspaceId, code: error.code, err: error }, "pause failed");
    core.releaseSpace();
    const event = core.record.state === "pausing" ? "pause_failed" : "pause_refused";
    if (event === "pause_failed") await letGoOn(core, machine);
    // A machine that died meanwhile, or was deleted, has its own way.
    if (core.machine === machine && ["running", "pausing"].includes(core.record.state)) {
      const isDiskFull = error.code === "host.disk_full";
      await core.transition(event, isDiskFull ? "disk_full" : previousReason, { errorCode: error.code });
    }
    throw error;
  }
  const lastWork = core.lastWork();
  core.closeLink(new AtollError("workspace.not_running"));
  await core.transition("paused", reason, {
    pausedIn: "memory",
    sealsAtMs: clock.now() + graceMs,
    lastWork,
    lostMemory: null,
    errorCode: null,
  });
}
