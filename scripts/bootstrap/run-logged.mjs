/** Runs a program with its output in a log file; a failure carries the end of that log. */
import { spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { basename, dirname } from "node:path";
import { StepFailure } from "./progress.mjs";

const TAIL_BYTES = 4_000;
const TAIL_LINES = 20;
/** How often the log's last line is shown as the step's detail. */
const REPORT_INTERVAL_MS = 1_000;

/**
 * @param {readonly [string, ...string[]]} argv
 * @param {{ log: string, cwd?: string, env?: NodeJS.ProcessEnv, remedy?: string, signal?: AbortSignal,
 *   report?: (detail: string) => void }} options `log` is overwritten
 * @returns {Promise<void>}
 */
export async function runLogged(argv, { log, cwd, env, remedy, signal, report }) {
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  const output = openSync(log, "w", 0o600);
  const [program, ...rest] = argv;
  const timer = report && setInterval(() => report(lastLine(log)), REPORT_INTERVAL_MS);
  try {
    const child = spawn(program, rest, { cwd, env, signal, stdio: ["ignore", output, output] });
    await /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        child.once("error", reject);
        child.once("exit", (code, killer) => {
          if (code === 0) resolve();
          else reject(new Error(killer ? `was ended by ${killer}` : `ended with code ${code}`));
        });
      })
    );
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const words = [basename(program), ...rest.filter((word) => /^[a-z]+$/.test(word))].slice(0, 3).join(" ");
    throw new StepFailure(`${words} ${reason} (log: ${log})`, {
      cause,
      logTail: tailOf(log),
      ...(remedy ? { remedy } : {}),
    });
  } finally {
    clearInterval(timer);
    closeSync(output);
  }
}

/**
 * The end of a log, whole lines only.
 * @param {string} path
 */
export function tailOf(path) {
  let file;
  try {
    file = openSync(path, "r");
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8").trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  } catch {
    return "";
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** @param {string} log */
function lastLine(log) {
  return tailOf(log).split("\n").at(-1)?.trim() ?? "";
}
