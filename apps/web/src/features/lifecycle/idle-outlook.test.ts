import { describe, expect, it } from "vitest";
import { idleOutlook, leaseChoices } from "./idle-outlook.ts";

const NOW = new Date("2026-11-22T14:30:00").getTime();
const MINUTE_MS = 60_000;

describe("idle outlook", () => {
  it("says quietly what keeps the machine awake, and warns of nothing then", () => {
    const outlook = idleOutlook(
      {
        state: "running",
        awakeBecause: [{ kind: "foreground", detail: "npm test" }],
        pausesAtMs: NOW + MINUTE_MS,
        warnsAtMs: NOW - MINUTE_MS,
      },
      1800,
      NOW,
    );
    expect(outlook).toMatchObject({ line: "Awake: npm test in a terminal", warning: undefined });
  });

  it("warns from the host's time on until the pause, with the time that is left", () => {
    const facts = {
      state: "running" as const,
      pausesAtMs: NOW + 10 * MINUTE_MS,
      warnsAtMs: NOW + 5 * MINUTE_MS,
      lastWork: { reason: { kind: "input" as const, detail: "terminal" }, atMs: NOW - 20 * MINUTE_MS },
    };
    expect(idleOutlook(facts, 1800, NOW)).toMatchObject({
      line: "Pauses at 14:40",
      detail: "Last work: typing in a terminal, 14:10. Pauses after 30 min without work; memory is kept.",
      warning: undefined,
    });
    expect(idleOutlook(facts, 1800, NOW + 6 * MINUTE_MS)?.warning).toEqual({
      remaining: "4:00",
      lastWork: "typing in a terminal, 14:10",
    });
    expect(idleOutlook(facts, 1800, NOW + 10 * MINUTE_MS)?.warning).toBeUndefined();
  });

  it("has nothing to say of a machine that does not run", () => {
    expect(idleOutlook({ state: "paused" }, 1800, NOW)).toBeUndefined();
  });

  it("offers only what the plan allows", () => {
    expect(leaseChoices(2 * 3600)).toEqual([3600, 7200]);
    expect(leaseChoices(600)).toEqual([600]);
  });
});
