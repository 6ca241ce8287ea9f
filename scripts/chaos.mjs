#!/usr/bin/env node
/** `npm run chaos -- [--driver fake|real] [--cycles N] [--seed S]`: the cycle test; see chaos/main.ts. */
import { runEntry } from "./bootstrap/run-entry.mjs";

await runEntry({
  entry: "chaos/main.ts",
  packageLists: ["vm-images/debian-packages.json"],
  onFailure: () => console.log("0 passed, 1 failed"),
});
