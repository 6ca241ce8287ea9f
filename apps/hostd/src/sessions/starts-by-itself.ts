import type { StateReason } from "@atoll/protocol/workspace-status";
import type { Workspace } from "../workspaces/workspace.ts";

const HOST_REASONS: ReadonlySet<StateReason> = new Set(["host_shutdown", "host_restarted"]);

/** What a restart or crash of ours ended comes back when a tab reconnects; anything else waits for somebody to ask. */
export function wasEndedByHost({ record }: Pick<Workspace, "record">): boolean {
  return ["paused", "stopped"].includes(record.state) && HOST_REASONS.has(record.reason);
}

/** An authorised preview request brings back what was paused, or what we ended; not what was stopped on purpose. */
export function startsByItself(workspace: Pick<Workspace, "record">): boolean {
  const { state } = workspace.record;
  return state === "paused" || state === "pausing" || wasEndedByHost(workspace);
}
