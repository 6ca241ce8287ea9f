import { describe, expect, it } from "vitest";
import { sum, tallyPlaywright, tallyVitest } from "./tally.ts";

describe("vitest reports", () => {
  const report = { numPassedTests: 3, numFailedTests: 0, success: true };

  it("are counted as they say", () => {
    expect(tallyVitest(report, true)).toEqual({ passed: 3, failed: 0 });
    expect(tallyVitest({ ...report, numFailedTests: 2, success: false }, false)).toEqual({
      passed: 3,
      failed: 2,
    });
  });

  it("never read as success when the run failed or left none", () => {
    expect(tallyVitest(report, false)).toEqual({ passed: 3, failed: 1 });
    expect(tallyVitest({ ...report, success: false }, true)).toEqual({ passed: 3, failed: 1 });
    expect(tallyVitest(undefined, true)).toEqual({ passed: 0, failed: 1 });
  });
});

describe("playwright reports", () => {
  const stats = { expected: 4, unexpected: 0, flaky: 0, skipped: 0 };

  it("count a flaky test as failed", () => {
    expect(tallyPlaywright({ stats, errors: [] }, true)).toEqual({ passed: 4, failed: 0 });
    expect(tallyPlaywright({ stats: { ...stats, flaky: 1 }, errors: [] }, true)).toEqual({
      passed: 4,
      failed: 1,
    });
    expect(tallyPlaywright({ stats: { ...stats, unexpected: 2 }, errors: [] }, false)).toEqual({
      passed: 4,
      failed: 2,
    });
  });

  it("never read as success when the run failed or left none", () => {
    expect(tallyPlaywright({ stats, errors: [{ message: "x" }] }, true)).toEqual({ passed: 4, failed: 1 });
    expect(tallyPlaywright({ stats, errors: [] }, false)).toEqual({ passed: 4, failed: 1 });
    expect(tallyPlaywright(undefined, false)).toEqual({ passed: 0, failed: 1 });
  });
});

it("adds up", () => {
  expect(sum([])).toEqual({ passed: 0, failed: 0 });
  expect(
    sum([
      { passed: 1, failed: 2 },
      { passed: 3, failed: 0 },
    ]),
  ).toEqual({ passed: 4, failed: 2 });
});
