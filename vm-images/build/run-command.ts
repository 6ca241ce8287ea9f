import { spawn } from "node:child_process";
import { machineEnvironment } from "./env.ts";

export interface CommandOptions {
  signal?: AbortSignal | undefined;
  cwd?: string;
  /** Added to our own environment: package tools find the machine's proxies and mirrors there. */
  env?: Record<string, string> | undefined;
  /** Exit codes besides 0 that are no failure. */
  acceptedCodes?: readonly number[];
  /** Called with each line of stdout and stderr as it arrives. */
  onLine?: ((line: string) => void) | undefined;
}

/** A program of the machine ended badly. `outputTail` is what it said last; it is for people. */
export class CommandFailed extends Error {
  readonly command: string;
  readonly exitCode: number | null;
  readonly outputTail: string;

  constructor(argv: readonly string[], exitCode: number | null, outputTail: string, cause?: unknown) {
    super(`${argv[0]} ended with ${exitCode ?? "no exit code"}: ${outputTail}`, { cause });
    this.name = "CommandFailed";
    this.command = argv.join(" ");
    this.exitCode = exitCode;
    this.outputTail = outputTail;
  }
}

/** Enough to see why mmdebstrap or gcc failed, small enough for one message. */
const OUTPUT_TAIL_CHARS = 4_000;

/** Largest stdout returned to the caller; the programs used here answer in kilobytes. */
const MAX_STDOUT_CHARS = 4_000_000;

/** Runs `argv` to its end and returns its stdout. Aborting kills the whole process group. */
export async function runCommand(
  argv: readonly [string, ...string[]],
  options: CommandOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const child = spawn(argv[0], argv.slice(1), {
    cwd: options.cwd,
    env: { ...machineEnvironment, LC_ALL: "C.UTF-8", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const kill = () => {
    // A negative pid is the group: mmdebstrap's children must not outlive it.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, "SIGTERM");
    }
  };
  options.signal?.addEventListener("abort", kill, { once: true });

  let stdout = "";
  let tail = "";
  const lines = { stdout: "", stderr: "" };
  const take = (from: "stdout" | "stderr") => (chunk: string) => {
    if (from === "stdout" && stdout.length < MAX_STDOUT_CHARS) stdout += chunk;
    tail = (tail + chunk).slice(-OUTPUT_TAIL_CHARS);
    const parts = (lines[from] + chunk).split(/[\r\n]+/);
    lines[from] = parts.pop() ?? "";
    for (const line of parts) if (line.trim() !== "") options.onLine?.(line);
  };
  child.stdout.setEncoding("utf8").on("data", take("stdout"));
  child.stderr.setEncoding("utf8").on("data", take("stderr"));

  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once("error", (error) => reject(new CommandFailed(argv, null, error.message, error)));
    child.once("close", (code) => resolve(code));
    const code = await promise;
    options.signal?.throwIfAborted();
    if (code !== 0 && !(code !== null && options.acceptedCodes?.includes(code))) {
      throw new CommandFailed(argv, code, tail.trim());
    }
    return stdout;
  } finally {
    options.signal?.removeEventListener("abort", kill);
  }
}
