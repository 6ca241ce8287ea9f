import { execFile } from "node:child_process";
import { AtollError } from "@atoll/protocol/atoll-error";

/** Creating a LUKS header takes 2 s of computing; a busy machine needs longer. */
const TOOL_TIMEOUT_MS = 120_000;

/**
 * Runs a disk tool to its end, at low priority: disks are made ahead, never while someone waits if it can be helped.
 * However this ends, the tool's process is gone and writes nothing any more.
 * @throws AtollError vm.start_failed with what the tool said.
 */
export async function runTool(command: readonly string[], signal?: AbortSignal): Promise<void> {
  const options = { signal, timeout: TOOL_TIMEOUT_MS, killSignal: "SIGKILL" as const, maxBuffer: 64 * 1024 };
  await new Promise<void>((resolve, reject) => {
    const tool = execFile("nice", ["-n", "10", ...command], options, (error, _output, complaint) => {
      if (error === null) return resolve();
      const fail = () => reject(signal?.aborted ? signal.reason : toolError(command, complaint, error));
      const isGone = tool.pid === undefined || tool.exitCode !== null || tool.signalCode !== null;
      // An abort is told at once, while the process may still be writing.
      if (isGone) fail();
      else tool.once("exit", fail);
    });
  });
}

function toolError(command: readonly string[], complaint: string, cause: Error): AtollError {
  const name = command.find((part) => /(qemu-img|mke2fs)$/.test(part)) ?? command[0];
  return new AtollError("vm.start_failed", `${name} failed: ${complaint.trim().slice(-500)}`, { cause });
}
