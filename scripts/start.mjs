#!/usr/bin/env node
/** `npm start`: from a fresh checkout to a running Atoll. Works before anything is installed. */
import { runEntry } from "./bootstrap/run-entry.mjs";

await runEntry({ entry: "scripts/start/main.ts", packageLists: ["vm-images/debian-packages.json"] });
