import { describe, expect, it } from "vitest";
import { type Evidence, judgeIdle } from "./judge-idle.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const SETTINGS = { idleMs: 1800 * SECOND, unattendedMaxMs: 24 * HOUR, leaseMaxMs: 24 * HOUR };
/** It began to run at 0, by an API call. */
const STARTED = fact("api", 0, { holdsUntilMs: 0, isAuthorised: true });

function fact(kind: Evidence["kind"], atMs: number, change: Partial<Evidence> = {}): Evidence {
  return {
    kind,
    detail: kind,
    atMs,
    holdsUntilMs: atMs + 30 * SECOND,
    isLease: false,
    isAuthorised: false,
    ...change,
  };
}

const act = (kind: Evidence["kind"], atMs: number) => fact(kind, atMs, { isAuthorised: true });
const lease = (atMs: number, holdsUntilMs: number, isAuthorised: boolean) =>
  fact("lease", atMs, { holdsUntilMs, isLease: true, isAuthorised });

function judge(
  nowMs: number,
  evidence: Evidence[],
  { lastWork = STARTED, ...settings }: { lastWork?: Evidence; idleMs?: number; leaseMaxMs?: number } = {},
) {
  const facts = { armedAtMs: 0, evidence, lastWork: { evidence: lastWork, atMs: lastWork.atMs } };
  return judgeIdle(facts, { ...SETTINGS, ...settings }, nowMs);
}

describe("what keeps a workspace awake", () => {
  it.each<[string, Evidence]>([
    ["input", act("input", HOUR)],
    ["a request of a preview", act("preview", HOUR)],
    ["an API call", act("api", HOUR)],
    ["a foreground job", fact("foreground", HOUR)],
    ["a busy processor", fact("cpu", HOUR)],
    ["network traffic", fact("network", HOUR)],
    ["a lease of the interface", lease(0, 2 * HOUR, true)],
    ["a lease in the guest", lease(0, 2 * HOUR, false)],
  ])("%s, while it lasts, and the idle time after it", (_title, evidence) => {
    const during = judge(HOUR + SECOND, [evidence]);
    expect(during.awakeBecause).toEqual([evidence]);
    expect(during.pausesAtMs).toBeUndefined();
    expect(during.nextAtMs).toBe(evidence.holdsUntilMs);
    const after = judge(evidence.holdsUntilMs, [evidence]);
    expect(after.awakeBecause).toEqual([]);
    const endedAtMs = evidence.isLease ? evidence.holdsUntilMs : HOUR;
    expect(after.lastWork).toEqual({ evidence, atMs: endedAtMs });
    expect(after.pausesAtMs).toBe(endedAtMs + SETTINGS.idleMs);
  });

  it("is nothing, when nothing was seen: the idle time runs from the start", () => {
    const verdict = judge(HOUR / 4, []);
    expect(verdict.pausesAtMs).toBe(SETTINGS.idleMs);
    expect(verdict.lastWork.evidence).toBe(STARTED);
    expect(verdict.nextAtMs).toBe(SETTINGS.idleMs);
  });

  it("is told newest first", () => {
    const old = lease(SECOND, 5 * HOUR, true);
    const job = fact("foreground", HOUR);
    const typed = act("input", HOUR + SECOND);
    expect(judge(HOUR + 2 * SECOND, [job, old, typed]).awakeBecause).toEqual([typed, job, old]);
  });

  it("is what was seen last, when several have ended", () => {
    const verdict = judge(3 * HOUR, [act("input", HOUR), lease(0, 2 * HOUR, true), fact("cpu", HOUR / 2)]);
    expect(verdict.lastWork).toMatchObject({ evidence: { kind: "lease" }, atMs: 2 * HOUR });
  });

  it("stays known after the evidence of it was replaced", () => {
    const verdict = judge(HOUR, [], { lastWork: fact("foreground", HOUR / 2) });
    expect(verdict.lastWork).toMatchObject({ evidence: { kind: "foreground" }, atMs: HOUR / 2 });
    expect(verdict.pausesAtMs).toBe(HOUR / 2 + SETTINGS.idleMs);
  });
});

describe("the warning", () => {
  it.each([
    [1800, 300],
    [900, 300],
    [60, 20],
    [3, 1],
  ])("of a pause after %d s comes %d s ahead", (idleSeconds, leadSeconds) => {
    const verdict = judge(0, [], { idleMs: idleSeconds * SECOND });
    expect((verdict.pausesAtMs ?? 0) - (verdict.warnsAtMs ?? 0)).toBe(leadSeconds * SECOND);
  });
});

describe("a guest that is alone", () => {
  const DAY = 24 * HOUR;

  it.each<[string, (atMs: number) => Evidence]>([
    ["jobs", (atMs) => fact("foreground", atMs)],
    ["load", (atMs) => fact("cpu", atMs)],
    ["traffic", (atMs) => fact("network", atMs)],
    ["leases it renews", (atMs) => lease(atMs, atMs + DAY, false)],
  ])("keeps itself awake for a day by %s, not longer", (_title, claim) => {
    expect(judge(DAY - 1, [claim(DAY - SECOND)]).awakeBecause).toHaveLength(1);
    const verdict = judge(DAY + SECOND, [claim(DAY)]);
    expect(verdict.awakeBecause).toEqual([]);
    expect(verdict.pausesAtMs).toBeLessThanOrEqual(DAY + SETTINGS.idleMs);
  });

  it("has another day from each authorised act", () => {
    const verdict = judge(2 * DAY - 1, [act("preview", DAY), fact("foreground", 2 * DAY - SECOND)]);
    expect(verdict.awakeBecause.map(({ kind }) => kind)).toEqual(["foreground"]);
    expect(verdict.nextAtMs).toBe(2 * DAY);
  });

  it("has no longer by leases than its plan gives to one, however it renews them", () => {
    const renewed = (atMs: number) => [lease(atMs, atMs + 2 * HOUR, false)];
    const plan = { leaseMaxMs: 2 * HOUR };
    const during = judge(HOUR, renewed(HOUR), plan);
    expect(during.awakeBecause).toEqual([lease(HOUR, 2 * HOUR, false)]);
    expect(during.nextAtMs).toBe(2 * HOUR);
    const after = judge(2 * HOUR, renewed(2 * HOUR - SECOND), plan);
    expect(after.awakeBecause).toEqual([]);
    expect(after.pausesAtMs).toBe(2 * HOUR + SETTINGS.idleMs);
    // Other work goes on for as long as it may.
    expect(judge(5 * HOUR, [fact("cpu", 5 * HOUR), ...renewed(5 * HOUR)], plan).awakeBecause).toHaveLength(1);
    // Somebody who comes by gives it another.
    const visited = judge(3 * HOUR, [act("input", 2 * HOUR), ...renewed(3 * HOUR - SECOND)], plan);
    expect(visited.awakeBecause).toMatchObject([{ kind: "lease", holdsUntilMs: 4 * HOUR }]);
  });

  it("is not cut short by an authorised lease that is longer", () => {
    const verdict = judge(DAY + SECOND, [lease(HOUR, HOUR + DAY, true), fact("cpu", DAY)]);
    expect(verdict.awakeBecause.map(({ kind }) => kind)).toEqual(["cpu", "lease"]);
  });
});

it("judges the same facts alike, and changes none of them", () => {
  const evidence = Object.freeze(
    [act("input", 5), fact("cpu", 6), lease(1, HOUR, false)].map(Object.freeze),
  ) as Evidence[];
  expect(judge(7, evidence)).toEqual(judge(7, evidence));
});
