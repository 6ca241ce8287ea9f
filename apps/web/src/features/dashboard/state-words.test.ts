import { expect, it } from "vitest";
import { stateWords } from "./state-words.ts";

it("does not call a machine that the host's disk refuses running", () => {
  expect(stateWords({ state: "running", reason: "requested" }).label).toBe("Running");
  expect(stateWords({ state: "running", reason: "host_disk" })).toMatchObject({
    label: "Standing still",
    shape: "paused",
    action: "Open",
  });
  expect(stateWords({ state: "paused", reason: "host_disk" }).label).toBe("Paused");
});
