import type { WorkspaceState } from "@atoll/protocol/workspace-status";
import { eraseWorkspace } from "./erase-workspace.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/**
 * Makes the record true again after hostd was killed at any point: a machine that lives is taken back, a step that was
 * under way is undone (a start) or finished (an erasure), and what is gone is said to be.
 */
export async function recoverWorkspace(core: WorkspaceCore): Promise<void> {
  const { record } = core;
  if (record.state === "erased") return;
  const { hypervisor, source, admission, logger } = core.dependencies;
  const machine = record.machine === null ? undefined : await hypervisor.adopt(record.machine);
  if (record.tombstone !== null) {
    await machine?.kill();
    return eraseWorkspace(core);
  }
  // Killed between the commit of a pause and its note here, or before a resume consumed its snapshot.
  const snapshot =
    record.disk !== null && (record.state === "pausing" || record.state === "resuming")
      ? await source.findSnapshot(record.workspaceId, record.disk)
      : undefined;
  if (machine !== undefined && isTakenBack(record.state) && snapshot === undefined) {
    const link = core.attach(machine);
    admission.hold(record.workspaceId, record.size.memoryMb);
    // Interrupted while pausing: vCPUs may stand still and the disk be frozen. The handshake thaws it.
    if (record.state === "pausing") {
      await machine.start();
      await core.transition("found_running", "host_restarted");
    }
    link.adopt();
    core.idle.arm();
    logger.info({ workspaceId: record.workspaceId, pid: machine.record.pid }, "machine adopted");
    return;
  }
  // A sealed pause to finish, a start nobody waits for any more, or a stop half-way. With a committed snapshot the
  // machine must not run on: its disk would leave the snapshot behind.
  await machine?.kill();
  switch (record.state) {
    case "paused":
    case "stopped":
    case "archived":
    case "failed":
      return;
    case "deleting":
      throw new TypeError("deleting without a tombstone");
    default:
  }
  if (record.disk === null) {
    return core.transition("start_failed", "host_restarted", { machine: null, errorCode: "vm.start_failed" });
  }
  if (snapshot !== undefined) {
    return core.transition("found_paused", "host_restarted", { machine: null, snapshot });
  }
  return core.transition("found_stopped", "host_restarted", { machine: null, snapshot: null });
}

function isTakenBack(state: WorkspaceState): boolean {
  return state === "running" || state === "pausing";
}
