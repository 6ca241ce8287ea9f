/** `npm ci`, only when what is installed is not what the lockfile says. */
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runLogged } from "./run-logged.mjs";

/**
 * @param {{ repository: string, logs: string, report: (detail: string) => void }} options
 * @returns {Promise<string>} a summary
 */
export async function installNpmPackages({ repository, logs, report }) {
  if (difference(repository) === undefined) return "as locked";
  await runLogged(["npm", "ci"], {
    cwd: repository,
    log: join(logs, "npm.log"),
    env: { ...process.env, PATH: pathOutsideOf(repository) },
    remedy: "Check that npm reaches its registry (npm ping), then run the same command again.",
    report,
  });
  return "installed";
}

/** @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean }} LockedPackage */

/**
 * npm writes its own record into node_modules last, so an interrupted install has none.
 * @param {string} repository
 * @returns {string | undefined} the first package that differs
 */
export function difference(repository) {
  const wanted = packagesOf(join(repository, "package-lock.json"));
  if (!wanted) return "package-lock.json";
  const installed = packagesOf(join(repository, "node_modules", ".package-lock.json"));
  if (!installed) return "everything";
  for (const [path, { version, integrity, optional, link }] of wanted) {
    if (!path.includes("node_modules/")) continue;
    const found = installed.get(path);
    // Absent optional packages are those of other platforms.
    if (!found && optional) continue;
    if (!found || found.version !== version || (!link && found.integrity !== integrity)) return path;
  }
  for (const path of installed.keys()) if (!wanted.has(path)) return path;
  return undefined;
}

/**
 * @param {string} lockfile
 * @returns {Map<string, LockedPackage> | undefined}
 */
function packagesOf(lockfile) {
  try {
    return new Map(Object.entries(JSON.parse(readFileSync(lockfile, "utf8")).packages));
  } catch {
    return undefined;
  }
}

/**
 * `npm ci` deletes node_modules, and with it the Node of `node_modules/.bin` that `npm run` puts first in PATH:
 * npm's own child processes would lose the program they run on.
 * @param {string} repository
 */
function pathOutsideOf(repository) {
  const entries = (process.env.PATH ?? "").split(delimiter);
  return entries.filter((entry) => !entry.startsWith(join(repository, "node_modules"))).join(delimiter);
}
