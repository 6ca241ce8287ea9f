/** `node scripts/check-imports.ts`: the rules of the source tree that no linter knows. Prints every breach and ends with 1. */
import { join } from "node:path";
import { findCycles } from "./check/cycles.ts";
import { durableFaults } from "./check/durable-rules.ts";
import { importFaults } from "./check/import-rules.ts";
import { shapeFaults } from "./check/shape-rules.ts";
import { readSources } from "./check/sources.ts";

const repository = join(import.meta.dirname, "..");
const sources = readSources(repository);
const faults = [
  ...sources.flatMap((source) => [...importFaults(source), ...shapeFaults(source), ...durableFaults(source)]),
  ...findCycles(sources),
];

for (const fault of faults) console.error(fault);
console.log(`${sources.length} source files, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
