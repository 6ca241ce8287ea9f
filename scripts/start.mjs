#!/usr/bin/env node
/** `npm start`: from a fresh checkout to a running Atoll. Works before anything is installed. */
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
  const entry = "scripts/start/main.ts";
  process.exitCode = await runOnNode24({ repository, entry, argv: process.argv.slice(2), dataDirectory });
} catch (error) {
  progress.failure(error);
  process.exitCode = 1;
}
