import { describe, expect, it } from "vitest";
import { type StoryFacts, stateStory } from "./state-story.ts";

const at = (text: string) => new Date(text).getTime();
const NOW = at("2026-11-22T14:30:00");
const facts = (patch: Partial<StoryFacts>): StoryFacts => ({
  state: "running",
  reason: "requested",
  sinceMs: at("2026-11-22T14:02:00"),
  ...patch,
});

describe("story of a state", () => {
  it("tells what keeps a running machine awake, each thing once", () => {
    const story = stateStory(
      facts({
        awakeBecause: [
          { kind: "foreground", detail: "npm test" },
          { kind: "input", detail: "terminal" },
          { kind: "foreground", detail: "npm test" },
          { kind: "lease", detail: "", untilMs: at("2026-11-22T15:30:00") },
        ],
        pausesAtMs: NOW + 5000,
      }),
      NOW,
    );
    expect(story).toEqual({
      now: "Running since 14:02",
      why: "Awake: npm test in a terminal, typing in a terminal, kept awake until 15:30.",
      next: [],
    });
  });

  it("says of a lease that it is as long as the plan allows, when more was asked for", () => {
    const lease = { kind: "lease", detail: "tests", untilMs: at("2026-11-22T16:30:00") } as const;
    const why = (patch: object) => stateStory(facts({ awakeBecause: [{ ...lease, ...patch }] }), NOW).why;
    expect(why({})).toBe("Awake: kept awake until 16:30 (tests).");
    expect(why({ askedUntilMs: at("2026-11-22T22:30:00") })).toBe(
      "Awake: kept awake until 16:30 (tests; as long as the plan allows).",
    );
  });

  it("counts down while nothing keeps it awake", () => {
    expect(stateStory(facts({ pausesAtMs: NOW + 65_000 }), NOW).next).toEqual(["Pauses in 1:05"]);
  });

  it("tells a pause in memory from one on disk, why it came and when it ends", () => {
    const paused = facts({
      state: "paused",
      reason: "idle",
      lastWork: { reason: { kind: "preview", detail: "port 3000" }, atMs: at("2026-11-22T13:32:00") },
      stopsAtMs: at("2026-11-23T14:02:00"),
    });
    expect(stateStory({ ...paused, pausedIn: "memory" }, NOW)).toEqual({
      now: "Paused since 14:02, still in memory",
      why: "Paused by itself because nothing was going on. Last work: preview traffic (port 3000), 13:32.",
      next: ["Stops on 23 Nov, 14:02: memory is given up, files stay"],
    });
    expect(stateStory({ ...paused, pausedIn: "disk" }, NOW).now).toBe("Paused since 14:02, sealed on disk");
  });

  it("dates the archive and the end of a disposable one", () => {
    const stopped = facts({
      state: "stopped",
      reason: "retention",
      archivesAtMs: at("2026-12-06T14:02:00"),
      expiresAtMs: at("2027-01-01T00:00:00"),
    });
    expect(stateStory(stopped, NOW)).toMatchObject({
      why: "It was paused for as long as the plan keeps memory.",
      next: ["Archived on 6 Dec, 14:02", "Erased for good on 1 Jan 2027"],
    });
  });

  it("names the operation that is going on, and the fault of one that failed", () => {
    expect(stateStory(facts({ operation: { kind: "checkpoint", startedAtMs: 1 } }), NOW).now).toBe(
      "Making a checkpoint",
    );
    expect(stateStory(facts({ state: "failed", errorCode: "host.disk_full" }), NOW).why).toBeTruthy();
  });

  it("tells of a machine that stands still because the host's disk refuses it, and what will become of it", () => {
    const standing = facts({ reason: "host_disk", errorCode: "host.disk_full", pausesAtMs: NOW + 5000 });
    expect(stateStory(standing, NOW)).toEqual({
      now: "Standing still",
      why: "The host's disk is full. The machine stands still until there is room, then it goes on; nothing is lost.",
      next: [],
    });
    expect(stateStory({ ...standing, errorCode: "host.disk_failed" }, NOW).why).toMatch(/does not take/);
  });
});
