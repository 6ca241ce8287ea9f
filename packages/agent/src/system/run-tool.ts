import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Clock } from "@atoll/base/clock";
import { TOOL_ENV } from "./base-tool.ts";
import { exposeToOutOfMemory } from "./oom-score.ts";

export interface ToolResult {
  /** Null: it was killed, by a signal or by its deadline. */
  exitCode: number | null;
  /** The last of what it said, for the log. */
  tail: string;
}

const TAIL_MAX = 2000;

/** Runs a tool to its end, with nothing to read. @throws Error when it cannot be started */
export async function runTool(
  argv: readonly string[],
  options: { clock: Clock; timeoutMs: number; onOutput?: (bytes: Buffer) => void; cwd?: string },
): Promise<ToolResult> {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    env: TOOL_ENV,
    cwd: options.cwd ?? "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.pid !== undefined) exposeToOutOfMemory(child.pid);
  const cancel = options.clock.schedule(options.timeoutMs, () => child.kill("SIGKILL"));
  let tail = "";
  const note = (bytes: Buffer) => {
    tail = (tail + bytes.toString("latin1")).slice(-TAIL_MAX);
  };
  child.stdout.on("data", options.onOutput ?? note);
  child.stderr.on("data", note);
  try {
    const [exitCode] = (await once(child, "close")) as [number | null];
    return { exitCode, tail: tail.trim() };
  } finally {
    cancel();
  }
}
