import { AtollError } from "@atoll/protocol/atoll-error";
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
  if (machine !== undefined && (record.state === "running" || record.state === "pausing")) {
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
  // A start nobody waits for any more, or a stop half-way: the disk is what counts.
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
    const { code } = new AtollError("vm.start_failed");
    return core.transition("start_failed", "host_restarted", { machine: null, errorCode: code });
  }
  if (record.state !== "stopping") {
    // Killed between the commit of a pause and its note here: the sealed memory is found by the disk.
    const snapshot = (await source.findSnapshot(record.workspaceId, record.disk)) ?? null;
    if (snapshot !== null)
      return core.transition("found_paused", "host_restarted", { machine: null, snapshot });
  }
  return core.transition("found_stopped", "host_restarted", { machine: null, snapshot: null });
}
