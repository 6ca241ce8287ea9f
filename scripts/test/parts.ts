import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../start/layout.ts";
import { quietEnv } from "../start/quiet-env.ts";
import type { LastLines } from "./last-lines.ts";
import { FAILED, PASSED, type Tally, tallyPlaywright, tallyVitest } from "./tally.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

export interface PartOptions {
  cacheDirectory: string;
  /** Where the parts share baked templates. */
  sharedTemplates: string;
  signal: AbortSignal;
}

/** Of one part: what it printed last is kept as well. */
export interface RunOptions extends PartOptions {
  printed: LastLines;
}

/** Behind a part's end: what it left running may hold its output open. */
const OUTPUT_TIMEOUT_MS = 2000;
const bin = (name: string) => join(repository, "node_modules", ".bin", name);
const local = (path: string) => join(repository, path);

/** Commands that either hold or do not; each counts as one test. */
export const CHECKS: Record<string, readonly [string, ...string[]]> = {
  "lint and format": [bin("biome"), "check", "."],
  "import directions and file shapes": [process.execPath, local("scripts/check-imports.ts")],
  "paths in documents": [process.execPath, local("scripts/check-docs.ts")],
  "types of packages and apps": [bin("turbo"), "run", "typecheck", "--continue", "--output-logs=errors-only"],
  "types of scripts": [bin("tsc"), "-p", local("scripts/tsconfig.json"), "--noEmit"],
  "types of the cycle test": [bin("tsc"), "-p", local("chaos/tsconfig.json"), "--noEmit"],
  "types of benchmarks": [bin("tsc"), "-p", local("bench/tsconfig.json"), "--noEmit"],
};

export async function runCheck(argv: readonly [string, ...string[]], options: RunOptions): Promise<Tally> {
  return (await run(argv, options)) ? PASSED : FAILED;
}

export function runVitest(project: "unit" | "vm", options: RunOptions): Promise<Tally> {
  return withReport(async (report) => {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const ok = await run([bin("vitest"), "run", "--project", project, ...reporters], options);
    return tallyVitest(readReport(report), ok);
  });
}

export function runPlaywright(options: RunOptions): Promise<Tally> {
  return withReport(async (report) => {
    const config = local("e2e/playwright.config.ts");
    // All is built, and the cycle test serves the web app from where a build would put it.
    const env = { PLAYWRIGHT_JSON_OUTPUT_NAME: report, ATOLL_PREPARED: "1" };
    const ok = await run(
      [bin("playwright"), "test", "--config", config, "--reporter=list,json"],
      options,
      env,
    );
    return tallyPlaywright(readReport(report), ok);
  });
}

/** The cycle test; a seed of its own each time, printed by it. */
export function runChaos(driver: "fake" | "real", cycles: number, options: RunOptions): Promise<Tally> {
  const argv = [local("chaos/main.ts"), "--driver", driver, "--cycles", String(cycles), "--prepared"];
  return runCheck([process.execPath, ...argv], options);
}

/** Output goes through as it comes: a hanging test must be seen where it hangs. */
function run(
  [program, ...argv]: readonly [string, ...string[]],
  { cacheDirectory, sharedTemplates, signal, printed }: RunOptions,
  extra: NodeJS.ProcessEnv = {},
): Promise<boolean> {
  const env = {
    ...quietEnv(),
    ATOLL_CACHE: cacheDirectory,
    ATOLL_SHARED_TEMPLATES: sharedTemplates,
    // They no longer see for themselves where their output goes.
    ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : {}),
    ...extra,
  };
  const child = spawn(program, argv, {
    cwd: repository,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    signal,
    // Ctrl-C is what the runners clean up after: a browser, a stack with machines.
    killSignal: "SIGINT",
  });
  printed.follow(child.stdout, process.stdout);
  printed.follow(child.stderr, process.stderr);
  return new Promise((resolve) => {
    child.once("error", (error) => {
      if (!signal.aborted) console.error(error.message);
      resolve(false);
    });
    child.once("exit", (code) => {
      child.once("close", () => resolve(code === 0));
      setTimeout(() => {
        for (const output of [child.stdout, child.stderr]) output.destroy();
      }, OUTPUT_TIMEOUT_MS).unref();
    });
  });
}

async function withReport(work: (path: string) => Promise<Tally>): Promise<Tally> {
  using directory = temporaryDirectory("atoll-report-");
  return await work(join(directory.path, "report.json"));
}

function readReport(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
