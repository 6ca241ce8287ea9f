import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { StateReason } from "@atoll/protocol/workspace-status";
import { letGoOn, MONITOR_TIMEOUT_MS, quiesceGuest, stopMachine } from "./quiesce-guest.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

export interface PauseOptions {
  reason: StateReason;
  graceMs: number;
  /** Asked last, when the guest stands still: what happened until then may be a reason to let it go on. */
  isWanted?: () => boolean;
  signal: AbortSignal;
}

/**
 * Stops a running workspace with its memory where it is; `sealWorkspace` follows after the grace time. Room on the disk
 * is promised before the guest notices anything, and whatever fails on the way, the guest is thawed and goes on running.
 * Session streams end only once the pause succeeded.
 */
export async function pauseWorkspace(core: WorkspaceCore, options: PauseOptions): Promise<void> {
  const { reason, graceMs, isWanted = () => true, signal } = options;
  const { source, clock, logger } = core.dependencies;
  const { machine, record } = core;
  const previousReason = record.reason;
  // It stands still by itself, with a name for why.
  if (core.refusedBy !== undefined) throw new AtollError(core.refusedBy);
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
    if (!isWanted()) throw new AtollError("request.aborted", "there is work again");
  } catch (cause) {
    const error = toAtollError(cause);
    const isFault = error.code !== "request.aborted";
    const about = { workspaceId: record.workspaceId, code: error.code, err: error };
    logger[isFault ? "error" : "info"](about, "not paused");
    core.releaseSpace();
    const event = core.record.state === "pausing" ? "pause_failed" : "pause_refused";
    if (event === "pause_failed") await letGoOn(core, machine);
    // A machine that died meanwhile, or was deleted, has its own way.
    if (core.machine === machine && ["running", "pausing"].includes(core.record.state)) {
      const isDiskFull = error.code === "host.disk_full";
      await core.transition(event, isDiskFull ? "disk_full" : previousReason, {
        errorCode: isFault ? error.code : null,
      });
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
