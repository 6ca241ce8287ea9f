/** Installs the Debian packages that are listed and missing, from wherever the machine's apt gets its packages. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StepFailure } from "./progress.mjs";
import { runLogged } from "./run-logged.mjs";

/** Another apt may be running: a fresh machine often updates itself. */
const LOCK_TIMEOUT_SECONDS = 180;
/** dpkg-query's own placeholders. */
const STATUS_FORMAT = `$\{Package} $\{db:Status-Status}\\n`;

/**
 * @param {{ lists: string[], logs: string, report: (detail: string) => void }} options `lists`: JSON files whose
 *   keys are package names and whose values say what each is for
 * @returns {Promise<string>} a summary
 */
export async function installDebianPackages({ lists, logs, report }) {
  const wanted = [...new Set(lists.flatMap((path) => Object.keys(JSON.parse(readFileSync(path, "utf8")))))];
  const missing = missingOf(wanted);
  if (missing.length === 0) return `${wanted.length} present`;
  report(missing.join(" "));
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  const lock = ["-o", `DPkg::Lock::Timeout=${LOCK_TIMEOUT_SECONDS}`];
  /** @type {readonly [string, ...string[]]} */
  const install = ["apt-get", ...lock, "install", "--yes", "--no-install-recommends", ...missing];
  const remedy = `Install them yourself: dpkg --configure -a && apt-get update && apt-get install --no-install-recommends ${missing.join(" ")}`;
  const log = join(logs, "apt.log");
  try {
    // First without `update`: on a machine with fresh lists that saves most of the time.
    await runLogged(install, { log, env, report });
  } catch {
    // What an interrupted apt left half-done stands in the way of every later one.
    await runLogged(["dpkg", "--configure", "-a"], { log, env, remedy, report });
    await runLogged(["apt-get", ...lock, "update"], { log, env, remedy, report });
    await runLogged(install, { log, env, remedy, report });
  }
  const left = missingOf(missing);
  if (left.length > 0)
    throw new StepFailure(`apt finished but these are not installed: ${left.join(" ")}`, { remedy });
  return `installed ${missing.join(" ")}`;
}

/** @param {string[]} wanted */
function missingOf(wanted) {
  const installed = new Set();
  for (const line of queryStatus(wanted).split("\n")) {
    const [name, status] = line.split(" ");
    if (status === "installed") installed.add(name);
  }
  return wanted.filter((name) => !installed.has(name));
}

/**
 * dpkg-query also prints what it knows when it ends with 1 for the names it does not know.
 * @param {string[]} names
 */
function queryStatus(names) {
  try {
    return execFileSync("dpkg-query", ["--show", "--showformat", STATUS_FORMAT, ...names], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch (error) {
    const failed = /** @type {{ code?: string, stdout?: string }} */ (error);
    if (failed.code === "ENOENT") {
      throw new StepFailure("this is not a Debian system: there is no dpkg-query", {
        remedy: "Use Debian 12 or 13.",
      });
    }
    return failed.stdout ?? "";
  }
}
