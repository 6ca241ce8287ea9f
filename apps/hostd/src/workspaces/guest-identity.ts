import { createHash } from "node:crypto";
import type { LinkHello } from "@atoll/protocol/link-handshake";

/** What makes a clone itself. The machine id is derived, so it stays the same over every start of the workspace. */
export function guestIdentity(workspaceId: string, slug: string): LinkHello["identity"] {
  const machineId = createHash("sha256")
    .update("atoll-machine-id\0")
    .update(workspaceId)
    .digest("hex")
    .slice(0, 32);
  return { workspaceId, hostname: slug, machineId };
}
