import { defineConfig } from "vitest/config";

/** Two projects: `unit` needs no virtual machine; `vm` boots real ones, one test file at a time. */
const ignored = ["**/node_modules/**", "**/.next/**", "**/dist/**", "**/.data/**", "**/generated/**"];
const sources = "{apps,packages,vm-images,scripts,bench}/**";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [`${sources}/*.test.{ts,tsx}`],
          exclude: [...ignored, "**/*.vm.test.ts"],
          // Databases and child processes start inside tests; two cores may be busy with a build.
          testTimeout: 90_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "vm",
          include: [`${sources}/*.vm.test.ts`],
          exclude: ignored,
          // Emulated machines share two cores: in parallel they only starve each other.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
