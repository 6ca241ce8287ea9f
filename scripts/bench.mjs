#!/usr/bin/env node
/** `npm run bench`: installs what is missing and runs bench/main.ts with the arguments given. */
import { runEntry } from "./bootstrap/run-entry.mjs";

await runEntry({ entry: "bench/main.ts", packageLists: ["vm-images/debian-packages.json"] });
