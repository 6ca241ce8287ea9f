import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";

export type ShownState = WorkspaceView["state"];
export type StateShape = "running" | "moving" | "paused" | "stopped" | "failed";

interface StateWords {
  label: string;
  shape: StateShape;
  /** What the main button of a workspace in this state says. */
  action: "Open" | "Resume" | "Start" | "Recover";
}

/** The one wording of states; shape and text differ, so colour is never the only sign. */
export const STATE_WORDS: Record<ShownState, StateWords> = {
  unstarted: { label: "Not started", shape: "stopped", action: "Start" },
  creating: { label: "Starting", shape: "moving", action: "Open" },
  running: { label: "Running", shape: "running", action: "Open" },
  pausing: { label: "Pausing", shape: "moving", action: "Open" },
  paused: { label: "Paused", shape: "paused", action: "Resume" },
  resuming: { label: "Resuming", shape: "moving", action: "Open" },
  stopping: { label: "Stopping", shape: "moving", action: "Open" },
  stopped: { label: "Stopped", shape: "stopped", action: "Start" },
  archived: { label: "Archived", shape: "stopped", action: "Start" },
  deleting: { label: "Deleting", shape: "moving", action: "Open" },
  erased: { label: "Erased", shape: "stopped", action: "Open" },
  failed: { label: "Failed", shape: "failed", action: "Recover" },
};

const STANDING: StateWords = { label: "Standing still", shape: "paused", action: "Open" };

/** A machine that the host's disk refuses runs by its state, and does nothing. */
export function stateWords({
  state,
  reason,
}: {
  state: ShownState;
  reason?: string | null | undefined;
}): StateWords {
  return state === "running" && reason === "host_disk" ? STANDING : STATE_WORDS[state];
}
