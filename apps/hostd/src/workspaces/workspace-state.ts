/** The transition table of a workspace. An event that is not listed for a state is a fault of the caller. */
import type { WorkspaceState } from "@atoll/protocol/workspace-status";

export type WorkspaceEvent =
  | "create_begun"
  | "resume_begun"
  | "agent_ready"
  | "start_failed"
  | "pause_begun"
  | "pause_refused"
  | "pause_failed"
  | "disk_refused"
  | "disk_took"
  | "paused"
  | "sealed"
  | "seal_failed"
  | "stop_begun"
  | "stopped"
  | "archived"
  | "vm_lost"
  | "memory_gone"
  | "found_running"
  | "found_paused"
  | "found_stopped"
  | "found_archived"
  | "delete_begun"
  | "erased";

type Transitions = Partial<Record<WorkspaceEvent, WorkspaceState>>;

/** What a restarted hostd may find behind any state that had, or was about to have, a machine. */
const found: Transitions = {
  found_running: "running",
  found_paused: "paused",
  found_stopped: "stopped",
  start_failed: "failed",
};
const restart: Transitions = { resume_begun: "resuming", delete_begun: "deleting" };

const TRANSITIONS: Record<WorkspaceState, Transitions> = {
  creating: { ...found, agent_ready: "running", vm_lost: "failed", delete_begun: "deleting" },
  running: {
    ...found,
    pause_begun: "pausing",
    pause_refused: "running",
    // The guest stands still between them.
    disk_refused: "running",
    disk_took: "running",
    stop_begun: "stopping",
    stopped: "stopped",
    vm_lost: "failed",
    delete_begun: "deleting",
  },
  pausing: {
    ...found,
    pause_failed: "running",
    paused: "paused",
    stopped: "stopped",
    vm_lost: "failed",
    delete_begun: "deleting",
  },
  paused: {
    ...restart,
    // In memory first, then on the disk: one state in two forms.
    sealed: "paused",
    seal_failed: "paused",
    found_paused: "paused",
    memory_gone: "stopped",
    stop_begun: "stopping",
    stopped: "stopped",
  },
  resuming: {
    ...found,
    found_archived: "archived",
    agent_ready: "running",
    stopped: "stopped",
    vm_lost: "failed",
    delete_begun: "deleting",
  },
  stopping: { ...found, stopped: "stopped", vm_lost: "failed", delete_begun: "deleting" },
  stopped: { ...restart, create_begun: "creating", archived: "archived", stopped: "stopped" },
  archived: { ...restart, stopped: "stopped" },
  failed: { ...restart, create_begun: "creating", stopped: "stopped" },
  deleting: { delete_begun: "deleting", erased: "erased" },
  erased: {},
};

/** @throws TypeError naming both, when `event` is not legal in `state`. */
export function nextState(state: WorkspaceState, event: WorkspaceEvent): WorkspaceState {
  const next = TRANSITIONS[state][event];
  if (next === undefined) throw new TypeError(`illegal transition: ${event} in state ${state}`);
  return next;
}
