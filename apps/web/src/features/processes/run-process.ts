/** One program in the machine, to its end. Output is kept up to a bound; the exit code says how it went. */
import { openChannel } from "@atoll/protocol/call";
import { processRun } from "@atoll/protocol/messages/process";
import type { Connection } from "../connection/connection.ts";

export interface ProcessRequest {
  argv: string[];
  /** Secrets go here: other users of the machine see arguments, not this. */
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs: number;
  /** Ends the whole group. */
  signal?: AbortSignal;
  /** Both outputs as they come. */
  onOutput?: (text: string) => void;
}

export interface ProcessResult {
  /** Null when a signal ended it. */
  exitCode: number | null;
  isTimedOut: boolean;
  stdout: string;
  stderr: string;
}

const KEPT_CHARS = 256 * 1024;

/** @throws AtollError link.lost, process.not_started, request.aborted … */
export async function runProcess(
  connection: Pick<Connection, "link">,
  { argv, env, cwd, timeoutMs, signal, onOutput }: ProcessRequest,
): Promise<ProcessResult> {
  const { mux, signal: linkSignal } = connection.link;
  const params = { argv, timeoutMs, ...(env ? { env } : {}), ...(cwd === undefined ? {} : { cwd }) };
  const over = signal ? AbortSignal.any([linkSignal, signal]) : linkSignal;
  const channel = await openChannel(mux, processRun, params, { signal: over });
  const onAbort = () => channel.stream.reset();
  over.addEventListener("abort", onAbort, { once: true });
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const result: ProcessResult = { exitCode: null, isTimedOut: false, stdout: "", stderr: "" };
  try {
    channel.stream.end();
    for await (const item of channel.items()) {
      if (item.kind === "event") {
        const { exitCode, isTimedOut } = item.value;
        return { ...result, exitCode, isTimedOut };
      }
      const name = item.isSecondary ? "stderr" : "stdout";
      const text = decoders[name].decode(item.bytes, { stream: true });
      if (result[name].length < KEPT_CHARS) result[name] += text;
      onOutput?.(text);
    }
    over.throwIfAborted();
    return result;
  } catch (error) {
    throw over.aborted ? over.reason : error;
  } finally {
    over.removeEventListener("abort", onAbort);
    channel.stream.reset();
  }
}
