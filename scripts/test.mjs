#!/usr/bin/env node
/** `npm test [-- unit|vm|e2e]`: everything, or one part. Works on a fresh machine; ends with `N passed, N failed`. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bootstrap, runOnNode24 } from "./bootstrap/bootstrap.mjs";
import { Progress } from "./bootstrap/progress.mjs";

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const progress = new Progress();

try {
  const { dataDirectory } = await bootstrap({
    repository,
    progress,
    packageLists: ["vm-images/debian-packages.json", "scripts/test-debian-packages.json"],
  });
  const entry = "scripts/test/main.ts";
  process.exitCode = await runOnNode24({ repository, entry, argv: process.argv.slice(2), dataDirectory });
} catch (error) {
  progress.failure(error);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
}
