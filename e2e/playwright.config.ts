import { defineConfig } from "@playwright/test";

/** Journeys through the whole stack: real machines, real Postgres, Debian's Chromium. One stack serves the run. */
export default defineConfig({
  testDir: "tests",
  outputDir: "../test-results",
  globalSetup: "./stack/start-stack.ts",
  // The machines share two cores: journeys run one after the other.
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  timeout: 240_000,
  expect: { timeout: 30_000 },
  use: {
    actionTimeout: 30_000,
    navigationTimeout: 30_000,
    viewport: { width: 1440, height: 900 },
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Without 3D the terminal draws with DOM nodes, which a test can read.
      args: [
        "--no-sandbox",
        "--disable-3d-apis",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
