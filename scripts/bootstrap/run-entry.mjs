import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bootstrap, runOnNode24 } from "./bootstrap.mjs";
import { Progress } from "./progress.mjs";

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Installs what is missing, then runs a TypeScript entry with the arguments of this process and takes over its exit code.
 * @param {{ entry: string, packageLists: string[], onFailure?: () => void }} options `onFailure` runs after a failed
 *   installation was reported
 * @returns {Promise<void>}
 */
export async function runEntry({ entry, packageLists, onFailure }) {
  const progress = new Progress();
  try {
    const { dataDirectory } = await bootstrap({ repository, progress, packageLists });
    process.exitCode = await runOnNode24({ repository, entry, argv: process.argv.slice(2), dataDirectory });
  } catch (error) {
    progress.failure(error);
    onFailure?.();
    process.exitCode = 1;
  }
}
