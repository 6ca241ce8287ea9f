import { z } from "zod";

export interface Tally {
  passed: number;
  failed: number;
}

const vitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  success: z.boolean(),
});

const playwrightReport = z.object({
  stats: z.object({ expected: z.number(), unexpected: z.number(), flaky: z.number() }),
  errors: z.array(z.unknown()),
});

/**
 * Counts of a vitest JSON report. A run that failed without a failed test (a file that does not load, an error
 * outside of any test, no report at all) counts as one failure: it must never read as success.
 */
export function tallyVitest(report: unknown, exitedCleanly: boolean): Tally {
  const parsed = vitestReport.safeParse(report);
  if (!parsed.success) return { passed: 0, failed: 1 };
  const { numPassedTests: passed, numFailedTests: failed, success } = parsed.data;
  return { passed, failed: failed === 0 && !(success && exitedCleanly) ? 1 : failed };
}

/** A flaky test is a defect, so it counts as failed although its retry passed. */
export function tallyPlaywright(report: unknown, exitedCleanly: boolean): Tally {
  const parsed = playwrightReport.safeParse(report);
  if (!parsed.success) return { passed: 0, failed: 1 };
  const { expected: passed, unexpected, flaky } = parsed.data.stats;
  const failed = unexpected + flaky;
  return { passed, failed: failed === 0 && (!exitedCleanly || parsed.data.errors.length > 0) ? 1 : failed };
}

export function sum(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((total, { passed }) => total + passed, 0),
    failed: tallies.reduce((total, { failed }) => total + failed, 0),
  };
}
