/** `npm ci`, only when what is installed is not what the lockfile says. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runLogged } from "./run-logged.mjs";

/** Settings that `npm run` derives from the Node it ran on and hands down; all others are the machine's and stay. */
const PLACES = /^npm_config_(?:prefix|local_prefix|global_prefix|globalconfig|init_module|node_gyp)$/i;

/**
 * @param {{ repository: string, logs: string, report: (detail: string) => void }} options
 * @returns {Promise<string>} a summary
 */
export async function installNpmPackages({ repository, logs, report }) {
  const isInstalled = difference(repository) === undefined;
  if (!isInstalled) {
    await runLogged(["npm", "ci"], {
      cwd: repository,
      log: join(logs, "npm.log"),
      env: machineNpmEnvironment(),
      remedy: "Check that npm reaches its registry (npm ping), then run the same command again.",
      report,
    });
  }
  linkNode(repository);
  return isInstalled ? "as locked" : "installed";
}

/**
 * The Node that scripts of `npm run` find first is the one that npm brought. npm links it, but for the one of Debian 13.
 * @param {string} repository
 */
export function linkNode(repository) {
  const link = join(repository, "node_modules", ".bin", "node");
  if (existsSync(link)) return;
  rmSync(link, { force: true });
  symlinkSync(join("..", `node-linux-${process.arch}`, "bin", "node"), link);
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean, os?: string | string[],
 *   cpu?: string | string[], libc?: string | string[] }} LockedPackage
 */

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
  for (const [path, locked] of wanted) {
    const { version, integrity, optional, link } = locked;
    if (!path.includes("node_modules/")) continue;
    const found = installed.get(path);
    // Absent ones are of other platforms, or npm went on without: the programs of this one lie in some of them.
    if (!found && optional && !isForThisMachine(locked)) continue;
    if (!found || found.version !== version || (!link && found.integrity !== integrity)) return path;
  }
  for (const path of installed.keys()) if (!wanted.has(path)) return path;
  return undefined;
}

/**
 * Whether a package says that it is for machines like this one; most say nothing.
 * @param {LockedPackage} locked
 */
function isForThisMachine({ os, cpu, libc }) {
  if (os === undefined && cpu === undefined) return false;
  /** @type {[string | string[] | undefined, string][]} */
  const demands = [
    [os, process.platform],
    [cpu, process.arch],
    [libc, "glibc"],
  ];
  return demands.every(([allowed, ours]) => allowed === undefined || [allowed].flat().includes(ours));
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
 * The environment in which `npm` is the machine's own, with the machine's own settings. `npm run` puts the Node of
 * `node_modules/.bin` first in PATH, and npm looks for its global settings (a mirror, a certificate file) beside the
 * Node it runs on. `npm ci` would even delete the Node it runs on.
 * @returns {NodeJS.ProcessEnv}
 */
export function machineNpmEnvironment() {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !PLACES.test(name)));
  const entries = (process.env.PATH ?? "").split(delimiter);
  return { ...env, PATH: entries.filter((entry) => !entry.includes("node_modules")).join(delimiter) };
}

/**
 * Where the machine's own npm keeps its global settings; for npm run by another Node later.
 * @returns {string}
 */
export function globalNpmConfiguration() {
  const env = machineNpmEnvironment();
  return execFileSync("npm", ["config", "get", "globalconfig"], {
    env,
    cwd: "/",
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}
