import { readFileSync } from "node:fs";
import type { ResultOf } from "@atoll/protocol/message";
import type { coreActivity } from "@atoll/protocol/messages/core";
import type { TerminalInfo } from "@atoll/protocol/messages/terminal";
import { withoutControls } from "../system/without-controls.ts";
import { foregroundCommand } from "./foreground.ts";
import type { GuestLeases } from "./guest-leases.ts";

/** USER_HZ: the unit of /proc/stat on every Linux. */
const TICK_MS = 10;
const FOREGROUND_MAX = 32;
const COMMAND_MAX = 80;

/** Asked a few times a minute, of a guest that should be asleep otherwise: some ten small reads and no process. */
export async function readActivity(options: {
  terminals: readonly TerminalInfo[];
  leases: GuestLeases;
}): Promise<ResultOf<typeof coreActivity>> {
  const foreground = options.terminals.flatMap(({ terminalId, pid, exit }) => {
    const command = exit === undefined ? foregroundCommand(pid) : undefined;
    return command === undefined
      ? []
      : [{ terminalId, command: withoutControls(command).slice(0, COMMAND_MAX) }];
  });
  return {
    foreground: foreground.slice(0, FOREGROUND_MAX),
    cpuMs: othersCpuMs(),
    leases: await options.leases.read(),
  };
}

/** CPU time of the machine without this process. */
function othersCpuMs(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync("/proc/stat", "latin1")
    .split(/\s+/, 8)
    .map(Number);
  const ticks = [user, nice, system, irq, softirq].reduce((sum: number, count) => sum + (count ?? 0), 0);
  const own = process.cpuUsage();
  return Math.max(0, Math.round(ticks * TICK_MS - (own.user + own.system) / 1000));
}
