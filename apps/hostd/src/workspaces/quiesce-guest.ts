import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { coreQuiesce, coreThaw } from "@atoll/protocol/messages/core";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** Syncing a guest's dirty pages to an emulated disk. */
const QUIESCE_TIMEOUT_MS = 30_000;
const THAW_TIMEOUT_MS = 5000;
/** The monitor answers such a command at once or not at all. */
export const MONITOR_TIMEOUT_MS = 15_000;

/** Syncs and freezes the guest's disk. Whoever asks thaws it again, also after a failure: it may be frozen all the same. */
export async function quiesceGuest(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const mux = core.link?.mux;
  if (core.refusedBy !== undefined) throw new AtollError(core.refusedBy);
  if (mux === undefined) throw new AtollError("link.lost", "no agent to quiesce");
  const { clock } = core.dependencies;
  const { frozen } = await call(mux, coreQuiesce, {}, { timeoutMs: QUIESCE_TIMEOUT_MS, signal, clock });
  if (!frozen) throw new AtollError("vm.monitor_failed", "the guest's disk could not be frozen");
  signal.throwIfAborted();
}

/** vCPUs run and the disk is thawed, or the link is shaken anew, which thaws too. A machine that died is its watcher's. */
export async function letGoOn(core: WorkspaceCore, machine: Machine): Promise<void> {
  const { clock } = core.dependencies;
  try {
    await startMachine(core, machine, new AbortController().signal);
    const mux = core.link?.mux;
    if (mux !== undefined) await call(mux, coreThaw, {}, { timeoutMs: THAW_TIMEOUT_MS, clock });
  } catch (cause) {
    core.link?.restart(new AtollError("link.lost", "thaw was not answered", { cause }));
  }
}

export function startMachine(core: WorkspaceCore, machine: Machine, signal: AbortSignal): Promise<void> {
  return core.step("start", (bounded) => machine.start(bounded), { timeoutMs: MONITOR_TIMEOUT_MS, signal });
}

export function stopMachine(core: WorkspaceCore, machine: Machine, signal: AbortSignal): Promise<void> {
  return core.step("stop", (bounded) => machine.stop(bounded), { timeoutMs: MONITOR_TIMEOUT_MS, signal });
}
