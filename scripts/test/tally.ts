import { z } from "zod";

export interface Tally {
  passed: number;
  failed: number;
  /** Titles of what was left out. Not a failure, but never silent: a machine may lack what a test needs. */
  skipped: readonly string[];
}

/** Of a part without any report. */
export const FAILED: Tally = { passed: 0, failed: 1, skipped: [] };
export const PASSED: Tally = { passed: 1, failed: 0, skipped: [] };

const vitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  success: z.boolean(),
  testResults: z.array(
    z.object({ assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })) }),
  ),
});

const playwrightTest = z.object({ status: z.string() });
const playwrightSpec = z.object({ title: z.string(), tests: z.array(playwrightTest) });
const playwrightSuite = z.object({
  specs: z.array(playwrightSpec),
  get suites() {
    return z.array(playwrightSuite).optional();
  },
});

const playwrightReport = z.object({
  stats: z.object({ expected: z.number(), unexpected: z.number(), flaky: z.number() }),
  suites: z.array(playwrightSuite),
  errors: z.array(z.unknown()),
});

/**
 * Counts of a vitest JSON report. A run that failed without a failed test (a file that does not load, an error
 * outside of any test, no report at all) counts as one failure: it must never read as success.
 */
export function tallyVitest(report: unknown, exitedCleanly: boolean): Tally {
  const parsed = vitestReport.safeParse(report);
  if (!parsed.success) return FAILED;
  const { numPassedTests: passed, numFailedTests: failed, success, testResults } = parsed.data;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const skipped = tests.filter(({ status }) => status !== "passed" && status !== "failed");
  return {
    passed,
    failed: failed === 0 && !(success && exitedCleanly) ? 1 : failed,
    skipped: skipped.map(({ fullName }) => fullName.trim()),
  };
}

/** A flaky test is a defect, so it counts as failed although its retry passed. */
export function tallyPlaywright(report: unknown, exitedCleanly: boolean): Tally {
  const parsed = playwrightReport.safeParse(report);
  if (!parsed.success) return FAILED;
  const { expected: passed, unexpected, flaky } = parsed.data.stats;
  const failed = unexpected + flaky;
  return {
    passed,
    failed: failed === 0 && (!exitedCleanly || parsed.data.errors.length > 0) ? 1 : failed,
    skipped: parsed.data.suites.flatMap(skippedIn),
  };
}

export function sum(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((total, { passed }) => total + passed, 0),
    failed: tallies.reduce((total, { failed }) => total + failed, 0),
    skipped: tallies.flatMap(({ skipped }) => skipped),
  };
}

function skippedIn({ specs, suites = [] }: z.infer<typeof playwrightSuite>): string[] {
  const own = specs.filter(({ tests }) => tests.some(({ status }) => status === "skipped"));
  return [...own.map(({ title }) => title), ...suites.flatMap(skippedIn)];
}
