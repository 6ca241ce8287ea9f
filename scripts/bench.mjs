#!/usr/bin/env node
/** `npm run bench`: installs what is missing and runs bench/main.ts with the arguments given. */
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
    packageLists: ["vm-images/debian-packages.json"],
  });
  const entry = "bench/main.ts";
  process.exitCode = await runOnNode24({ repository, entry, argv: process.argv.slice(2), dataDirectory });
} catch (error) {
  progress.failure(error);
  process.exitCode = 1;
}
