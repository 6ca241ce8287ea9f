import { AtollError } from "@atoll/protocol/atoll-error";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import { startMachine } from "./quiesce-guest.ts";
import type { StartProgress } from "./start-progress.ts";
import type { RecordPatch, WorkspaceCore } from "./workspace-core.ts";

/** A restored guest answers in 50 ms, in seconds on a busy host. Giving up on it costs its memory. */
export const RESTORED_ANSWER_MS = 60_000;
/** Ten seconds by itself under emulation; minutes where many boot at once, as after the host's own start. */
export const BOOTED_ANSWER_MS = 300_000;

export type Handshake = NonNullable<WorkspaceRecord["handshake"]>;

export interface BringUp {
  machine: Machine;
  handshake: Handshake;
  patch: RecordPatch;
  progress?: StartProgress;
  signal: AbortSignal;
  timeoutMs?: number;
}

/**
 * From a machine whose vCPUs did not run yet to an agent that confirmed who it is, the time and fresh entropy. The
 * journal knows the process before its vCPUs run, so that a crash in between leaves nothing unnamed. On failure the
 * machine is the caller's to end.
 */
export async function bringUp(core: WorkspaceCore, options: BringUp): Promise<void> {
  const { machine, handshake, patch, progress } = options;
  const link = core.attach(machine);
  const gone = new AbortController();
  void machine.exited.then((exit) => gone.abort(new AtollError("vm.gone", `${exit.reason}: ${exit.detail}`)));
  // One that boots begins again when there is room; what has memory gets its time to go on.
  const stopListening = machine.onEvent((event) => {
    const isHopeless = event.type === "disk_error" && event.isStanding && handshake.reason === "boot";
    if (isHopeless) gone.abort(new AtollError(event.code));
  });
  const signal = AbortSignal.any([options.signal, gone.signal, core.stuck]);
  await core.update({ ...patch, machine: machine.record, handshake });
  const connecting = link.connect({
    ...handshake,
    timeoutMs: options.timeoutMs ?? (handshake.reason === "boot" ? BOOTED_ANSWER_MS : RESTORED_ANSWER_MS),
    signal,
    beforeHandshake: async () => {
      await startMachine(core, machine, signal);
      progress?.enter("identity");
    },
  });
  await connecting.finally(stopListening);
}
