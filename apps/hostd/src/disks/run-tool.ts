import { execFile } from "node:child_process";
import { AtollError } from "@atoll/protocol/atoll-error";

/** Creating a LUKS header takes 2 s of computing; a busy machine needs longer. */
const TOOL_TIMEOUT_MS = 120_000;

/**
 * Runs a disk tool to its end, at low priority: disks are made ahead, never while someone waits if it can be helped.
 * @throws AtollError vm.start_failed with what the tool said.
 */
export async function runTool(command: readonly string[], signal?: AbortSignal): Promise<void> {
  const options = { signal, timeout: TOOL_TIMEOUT_MS, killSignal: "SIGKILL" as const, maxBuffer: 64 * 1024 };
  await new Promise<void>((resolve, reject) => {
    execFile("nice", ["-n", "10", ...command], options, (error, _output, complaint) => {
      if (error === null) return resolve();
      if (signal?.aborted) return reject(signal.reason);
      const name = command.find((part) => /(qemu-img|mke2fs)$/.test(part)) ?? command[0];
      reject(
        new AtollError("vm.start_failed", `${name} failed: ${complaint.trim().slice(-500)}`, {
          cause: error,
        }),
      );
    });
  });
}
