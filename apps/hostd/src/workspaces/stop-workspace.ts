import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { coreShutdown } from "@atoll/protocol/messages/core";
import type { StateReason } from "@atoll/protocol/workspace-status";
import type { WorkspaceCore } from "./workspace-core.ts";

const SHUTDOWN_ANSWER_MS = 10_000;
const POWER_OFF_MS = 20_000;
const DROP_MS = 60_000;

/** Powers the guest off, politely first. Of a paused workspace it drops the memory, wherever that is. */
export async function stopWorkspace(
  core: WorkspaceCore,
  options: { reason: StateReason; signal: AbortSignal },
): Promise<void> {
  const { reason, signal } = options;
  const { clock, logger } = core.dependencies;
  const { record, machine } = core;
  // A first start that never came to anything leaves nothing that could be stopped.
  if (record.disk === null) throw new AtollError("workspace.not_running");
  const generation = record.generation + 1;
  const stopped = {
    snapshot: null,
    restoredFrom: null,
    machine: null,
    operation: null,
    errorCode: null,
    lastWork: core.lastWork(),
  };
  if (machine === undefined) {
    await core.transition("stopped", reason, { ...stopped, generation });
    return dropMemory(core, signal);
  }
  await core.transition("stop_begun", reason, { generation });
  const mux = core.link?.mux;
  try {
    // Without a link it stands still in its grace time: quiesced, nothing to say good-bye to.
    if (mux !== undefined) {
      await call(mux, coreShutdown, {}, { timeoutMs: SHUTDOWN_ANSWER_MS, signal, clock });
      core.closeLink(new AtollError("workspace.not_running"));
      await withDeadline(machine.exited, {
        timeoutMs: POWER_OFF_MS,
        clock,
        signal,
        onTimeout: () => new AtollError("request.timeout", "the guest did not power off"),
      });
    }
  } catch (error) {
    logger.warn({ workspaceId: record.workspaceId, err: error }, "guest did not shut down, killing it");
  }
  await endForGood(core);
  await core.transition("stopped", reason, stopped);
  await dropMemory(core, signal);
}

/** Between `stop_begun` and what follows. A process that does not go leaves a state that a start can leave. */
export async function endForGood(core: WorkspaceCore): Promise<void> {
  try {
    await core.endMachine(new AtollError("workspace.not_running"));
  } catch (cause) {
    const { code } = toAtollError(cause);
    if (core.record.state === "stopping") {
      const lostMemory = { code, atMs: core.dependencies.clock.now() };
      await core.transition("vm_lost", "vm_exited", {
        machine: null,
        operation: null,
        errorCode: code,
        lostMemory,
      });
    }
    throw cause;
  }
}

/** What is left of it costs room, and nobody may find it. The next boot makes it void in any case. */
export async function dropMemory(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const { source, logger } = core.dependencies;
  const { disk, workspaceId } = core.record;
  if (disk === null) return;
  try {
    await core.step("drop memory", () => source.dropSnapshots(disk), { timeoutMs: DROP_MS, signal });
  } catch (error) {
    logger.warn({ workspaceId, err: error }, "sealed memory of a stopped workspace is still there");
  }
}
