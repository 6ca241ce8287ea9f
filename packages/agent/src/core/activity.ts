import type { ResultOf } from "@atoll/protocol/message";
import type { coreActivity } from "@atoll/protocol/messages/core";
import type { TerminalInfo } from "@atoll/protocol/messages/terminal";
import { withoutControls } from "../system/without-controls.ts";
import { foregroundCommand } from "./foreground.ts";
import type { GuestLeases } from "./guest-leases.ts";
import { othersCpuMs } from "./others-cpu.ts";

const FOREGROUND_MAX = 32;
const COMMAND_MAX = 80;

/** Asked a few times a minute, of a guest that should be asleep otherwise: a small read for each process, and none is started. */
export async function readActivity(options: {
  terminals: readonly TerminalInfo[];
  leases: GuestLeases;
  keepAwakeMaxSeconds: number | undefined;
}): Promise<ResultOf<typeof coreActivity>> {
  if (options.keepAwakeMaxSeconds !== undefined) options.leases.announceMax(options.keepAwakeMaxSeconds);
  const foreground = options.terminals.flatMap(({ terminalId, pid, exit }) => {
    const command = exit === undefined ? foregroundCommand(pid) : undefined;
    return command === undefined
      ? []
      : [{ terminalId, command: withoutControls(command).slice(0, COMMAND_MAX) }];
  });
  return {
    foreground: foreground.slice(0, FOREGROUND_MAX),
    cpuMs: await othersCpuMs(),
    leases: await options.leases.read(),
  };
}
