import { defineConfig } from "@playwright/test";

const TAKES_THE_DATABASE = "restored-database.spec.ts";

/** Journeys through the whole stack: real machines, real Postgres, Debian's Chromium. One stack serves the run. */
export default defineConfig({
  testDir: "tests",
  outputDir: "../test-results",
  globalSetup: "./stack/start-stack.ts",
  // Every journey has accounts and machines of its own. One mostly waits, so two fill two cores.
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  timeout: 480_000,
  expect: { timeout: 30_000 },
  projects: [
    { name: "journeys", testIgnore: TAKES_THE_DATABASE },
    { name: "alone", testMatch: TAKES_THE_DATABASE, dependencies: ["journeys"] },
  ],
  use: {
    actionTimeout: 30_000,
    navigationTimeout: 30_000,
    viewport: { width: 1440, height: 900 },
    screenshot: "only-on-failure",
    // Costs the guests half of a core; `--trace on` where one is wanted.
    trace: "off",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Without 3D the terminal draws with DOM nodes, which a test can read.
      args: [
        "--no-sandbox",
        "--disable-3d-apis",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
