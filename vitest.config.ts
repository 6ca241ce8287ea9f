import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/test/longest-first.ts";

/** Two projects: `unit` needs no virtual machine; `vm` boots real ones, two test files at a time. */
const ignored = ["**/node_modules/**", "**/.next/**", "**/dist/**", "**/.data/**", "**/generated/**"];
/** An event may be a minute late on two busy cores; no test asserts a time. See patient-waits.ts. */
const waits = { expect: { poll: { timeout: 60_000 } }, setupFiles: ["scripts/test/patient-waits.ts"] };
const sources = "{apps,packages,vm-images,scripts,bench}/**";

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...waits,
          name: "unit",
          include: [`${sources}/*.test.{ts,tsx}`],
          exclude: [...ignored, "**/*.vm.test.ts"],
          // Many tests wait for their disks and child processes.
          maxWorkers: 4,
          // Databases and child processes start inside tests, crashes are replayed by the hundred; two cores may be busy with
          // a build and the simulated world.
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...waits,
          name: "vm",
          include: [`${sources}/*.vm.test.ts`],
          exclude: ignored,
          // One emulated machine keeps one core busy; more than two at once only starve each other.
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
