import type { StartStage } from "@atoll/protocol/workspace-status";
import { describe, expect, it } from "vitest";
import { runningStatus } from "../testing/fake-host.ts";
import { advanceProgress } from "./start-progress.ts";

const stage = (name: StartStage["name"], index: number, startedAtMs: number): StartStage => ({
  path: "create",
  name,
  index,
  total: 4,
  startedAtMs,
});
const creating = (present: StartStage, generation = 1) => ({
  ...runningStatus,
  state: "creating" as const,
  generation,
  stage: present,
});

describe("start progress", () => {
  it("keeps each step with its time and completes when the machine runs", () => {
    let progress = advanceProgress(undefined, creating(stage("reserve", 0, 100)), 0);
    progress = advanceProgress(progress, creating(stage("restore", 1, 150)), 0);
    progress = advanceProgress(progress, runningStatus, 400);
    expect(progress).toMatchObject({
      index: 4,
      total: 4,
      steps: [
        { name: "reserve", startedAtMs: 100, endedAtMs: 150 },
        { name: "restore", startedAtMs: 150, endedAtMs: 400 },
      ],
    });
  });

  it("never moves back within one start, and begins anew with the next", () => {
    const later = advanceProgress(undefined, creating(stage("identity", 2, 100)), 0);
    expect(advanceProgress(later, creating(stage("reserve", 0, 50)), 0)).toBe(later);
    expect(advanceProgress(later, creating(stage("reserve", 0, 500), 2), 0)).toMatchObject({ index: 0 });
  });
});
