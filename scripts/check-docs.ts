/** `node scripts/check-docs.ts`: every path that a document names exists. Prints each that does not and ends with 1. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { documentFaults } from "./check/document-rules.ts";

const repository = join(import.meta.dirname, "..");
const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"], {
  cwd: repository,
  encoding: "utf8",
});
const documents = listed.split("\0").filter((path) => path !== "" && existsSync(join(repository, path)));
const exists = (path: string) => existsSync(join(repository, path));
const faults = documents.flatMap((path) =>
  documentFaults(path, readFileSync(join(repository, path), "utf8"), exists),
);

for (const fault of faults) console.error(fault);
console.log(`${documents.length} documents, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
