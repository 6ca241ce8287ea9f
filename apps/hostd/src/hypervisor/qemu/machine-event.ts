import { z } from "zod";
import type { MachineEvent } from "../hypervisor.ts";
import { DISK_DEVICE, LINK_DEVICE } from "./qemu-arguments.ts";
import type { QmpEvent } from "./qmp-client.ts";

const portChange = z.object({ id: z.literal(LINK_DEVICE), open: z.boolean() });
/** Named by the device's path, and by its node where that has no device of its own. */
const blockError = z.object({
  "qom-path": z.string().startsWith(`/machine/peripheral/${DISK_DEVICE}/`),
  action: z.enum(["ignore", "report", "stop"]),
  nospace: z.boolean().optional(),
});

/** What of the monitor's events is a machine's owner's business. */
export function machineEvent({ event, data }: QmpEvent): MachineEvent | undefined {
  if (event === "VSERPORT_CHANGE") {
    const change = portChange.safeParse(data);
    return change.success ? { type: "port", isOpen: change.data.open } : undefined;
  }
  if (event !== "BLOCK_IO_ERROR") return undefined;
  const error = blockError.safeParse(data);
  if (!error.success || error.data.action === "ignore") return undefined;
  const code = error.data.nospace === true ? "host.disk_full" : "host.disk_failed";
  return { type: "disk_error", code, isStanding: error.data.action === "stop" };
}
