#!/usr/bin/env node
/** `npm test [-- unit|vm|chaos|e2e]`: everything, or one part. Works on a fresh machine; ends with `N passed, N failed`. */
import { runEntry } from "./bootstrap/run-entry.mjs";

await runEntry({
  entry: "scripts/test/main.ts",
  packageLists: ["vm-images/debian-packages.json", "scripts/test-debian-packages.json"],
  onFailure: () => console.log("0 passed, 1 failed"),
});
