import { describe, expect, it } from "vitest";
import { sum, tallyPlaywright, tallyVitest } from "./tally.ts";

describe("vitest reports", () => {
  const report = { numPassedTests: 3, numFailedTests: 0, success: true, testResults: [] };

  it("are counted as they say", () => {
    expect(tallyVitest(report, true)).toEqual({ passed: 3, failed: 0, skipped: [] });
    expect(tallyVitest({ ...report, numFailedTests: 2, success: false }, false)).toEqual({
      passed: 3,
      failed: 2,
      skipped: [],
    });
  });

  it("name what was skipped", () => {
    const assertionResults = [
      { status: "passed", fullName: "a" },
      { status: "skipped", fullName: " speaks over vsock" },
      { status: "todo", fullName: "b" },
    ];
    const { skipped } = tallyVitest({ ...report, testResults: [{ assertionResults }] }, true);
    expect(skipped).toEqual(["speaks over vsock", "b"]);
  });

  it("never read as success when the run failed or left none", () => {
    expect(tallyVitest(report, false)).toEqual({ passed: 3, failed: 1, skipped: [] });
    expect(tallyVitest({ ...report, success: false }, true)).toEqual({ passed: 3, failed: 1, skipped: [] });
    expect(tallyVitest(undefined, true)).toEqual({ passed: 0, failed: 1, skipped: [] });
  });
});

describe("playwright reports", () => {
  const stats = { expected: 4, unexpected: 0, flaky: 0, skipped: 0 };

  it("count a flaky test as failed", () => {
    expect(tallyPlaywright({ stats, suites: [], errors: [] }, true)).toEqual({
      passed: 4,
      failed: 0,
      skipped: [],
    });
    expect(tallyPlaywright({ stats: { ...stats, flaky: 1 }, suites: [], errors: [] }, true)).toEqual({
      passed: 4,
      failed: 1,
      skipped: [],
    });
    expect(tallyPlaywright({ stats: { ...stats, unexpected: 2 }, suites: [], errors: [] }, false)).toEqual({
      passed: 4,
      failed: 2,
      skipped: [],
    });
  });

  it("name what was skipped, however deep", () => {
    const spec = (title: string, status: string) => ({ title, tests: [{ status }] });
    const inner = { specs: [spec("b", "skipped"), spec("c", "unexpected")] };
    const suites = [{ specs: [spec("a", "skipped"), spec("d", "expected")], suites: [inner] }];
    expect(tallyPlaywright({ stats, suites, errors: [] }, true).skipped).toEqual(["a", "b"]);
  });

  it("never read as success when the run failed or left none", () => {
    expect(tallyPlaywright({ stats, suites: [], errors: [{ message: "x" }] }, true)).toEqual({
      passed: 4,
      failed: 1,
      skipped: [],
    });
    expect(tallyPlaywright({ stats, suites: [], errors: [] }, false)).toEqual({
      passed: 4,
      failed: 1,
      skipped: [],
    });
    expect(tallyPlaywright(undefined, false)).toEqual({ passed: 0, failed: 1, skipped: [] });
  });
});

it("adds up", () => {
  expect(sum([])).toEqual({ passed: 0, failed: 0, skipped: [] });
  expect(
    sum([
      { passed: 1, failed: 2, skipped: ["a"] },
      { passed: 3, failed: 0, skipped: ["b"] },
    ]),
  ).toEqual({ passed: 4, failed: 2, skipped: ["a", "b"] });
});
