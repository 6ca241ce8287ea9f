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

/** Why it is in that state, where that tells something. */
export function reasonWords(state: ShownState, reason: WorkspaceView["reason"]): string | undefined {
  if (state === "paused" && reason === "idle")
    return "Paused by itself when nobody was here. Memory is kept.";
  if (state === "paused" && reason === "host_shutdown")
    return "Paused because the host shut down. Memory is kept.";
  if (state === "paused") return "Memory is kept; resuming goes on where you left off.";
  if (state === "stopped" && reason === "guest_halted") return "The machine was shut down from inside.";
  if (state === "stopped" && reason === "vm_exited") return "The machine ended unexpectedly. Files are safe.";
  if (state === "stopped" && reason === "host_restarted")
    return "The host restarted. Memory was lost, files are safe.";
  if (state === "stopped") return "Memory was given up; files are on its disk.";
  if (state === "failed") return "The machine did not start. Files are on its disk.";
  if (state === "unstarted") return "No machine was made for it yet.";
  return undefined;
}
