import { AtollError } from "@atoll/protocol/atoll-error";
import type { GuestSystem } from "../system/guest-system.ts";

/**
 * Freezes the user's disk. The freeze itself writes out what is dirty and blocks this process meanwhile: the machine
 * is about to stop, so nobody else waits for it. Nothing here or in the answer touches the disk afterwards.
 */
export function quiesce(system: GuestSystem): { frozen: boolean } {
  try {
    system.freeze();
    return { frozen: true };
  } catch (cause) {
    throw new AtollError("internal", "the disk could not be frozen", { cause });
  }
}
