/** From a fresh checkout to an installed one, with nothing but the system's Node. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { checkMachine } from "./check-machine.mjs";
import { installDebianPackages } from "./debian-packages.mjs";
import { globalNpmConfiguration, installNpmPackages, machineNpmEnvironment } from "./npm-packages.mjs";

/** Brought by npm; everything after this file is TypeScript that it runs directly. */
const NODE = "node_modules/.bin/node";
const EXIT_BY_SIGNAL = 128;

/**
 * @param {{ repository: string, progress: import("./progress.mjs").Progress, packageLists: string[] }} options
 *   `packageLists`: see debian-packages.mjs, relative to the repository
 * @returns {Promise<{ dataDirectory: string }>}
 */
export async function bootstrap({ repository, progress, packageLists }) {
  // Directories for other users state their own mode; a strict umask would close them.
  process.umask(0o022);
  let dataDirectory = "";
  await progress.step("Check the machine", () => {
    const found = checkMachine(repository);
    dataDirectory = found.dataDirectory;
    return found.summary;
  });
  const logs = join(dataDirectory, "logs");
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  chmodSync(logs, 0o700);
  const lists = packageLists.map((path) => join(repository, path)).filter((path) => existsSync(path));
  await progress.step("Debian packages", (report) => installDebianPackages({ lists, logs, report }));
  await progress.step("npm packages", (report) => installNpmPackages({ repository, logs, report }));
  return { dataDirectory };
}

/**
 * Runs a TypeScript entry on Node 24 and returns its exit code. It gets a process group of its own and the signals
 * of this one: a terminal and `npm` both deliver Ctrl-C, and it must count once.
 * @param {{ repository: string, entry: string, argv: string[], dataDirectory: string }} options
 * @returns {Promise<number>}
 */
export function runOnNode24({ repository, entry, argv, dataDirectory }) {
  const node = join(repository, NODE);
  const bin = join(repository, "node_modules", ".bin");
  // If this process is killed outright, the entry hears of it and still stops everything it started.
  const machine = machineNpmEnvironment();
  const child = spawn("setpriv", ["--pdeathsig", "TERM", "--", node, join(repository, entry), ...argv], {
    cwd: repository,
    env: {
      ...machine,
      ATOLL_DATA: dataDirectory,
      PATH: `${bin}:${machine.PATH}`,
      npm_config_globalconfig: globalNpmConfiguration(),
    },
    stdio: "inherit",
    detached: true,
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      resolve(code ?? EXIT_BY_SIGNAL + constants.signals[signal ?? "SIGTERM"]),
    );
  });
}
