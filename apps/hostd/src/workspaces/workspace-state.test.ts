import { workspaceState } from "@atoll/protocol/workspace-status";
import { expect, it } from "vitest";
import { nextState } from "./workspace-state.ts";

it("walks the usual lives of a workspace", () => {
  const walk = (...events: Parameters<typeof nextState>[1][]) =>
    events.reduce((state, event) => nextState(state, event), "creating" as Parameters<typeof nextState>[0]);
  expect(walk("agent_ready", "pause_begun", "paused", "resume_begun", "agent_ready")).toBe("running");
  expect(walk("agent_ready", "pause_begun", "pause_failed")).toBe("running");
  expect(walk("agent_ready", "stop_begun", "stopped", "resume_begun", "start_failed")).toBe("failed");
  expect(walk("agent_ready", "vm_lost", "resume_begun")).toBe("resuming");
  expect(walk("agent_ready", "pause_begun", "delete_begun", "erased")).toBe("erased");
});

it("names both in an illegal transition", () => {
  expect(() => nextState("erased", "resume_begun")).toThrow("resume_begun in state erased");
  expect(() => nextState("paused", "pause_begun")).toThrow("pause_begun in state paused");
});

it("lets every state but erased be deleted", () => {
  for (const state of workspaceState.options.filter((name) => name !== "erased")) {
    expect(nextState(state, "delete_begun")).toBe("deleting");
  }
});
