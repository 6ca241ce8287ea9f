import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { recordWorkspaceState } from "@atoll/db/workspaces";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { log } from "../log.ts";
import { storeErasure } from "./store-erasure.ts";

/**
 * Keeps the database's copy of states (for lists while hostd is away) behind the live ones. One write at a
 * time; of a workspace that changes faster only its latest state is written, so the backlog has a bound.
 */
export function storeStatus(db: Db): (status: WorkspaceStatus) => void {
  const waiting = new Map<string, WorkspaceStatus>();
  let isWriting = false;

  async function drain(): Promise<void> {
    isWriting = true;
    for (const [workspaceId, status] of waiting) {
      waiting.delete(workspaceId);
      try {
        await withTenant(db, status.ownerId, async (tenant) => {
          if (status.state === "erased") return storeErasure(tenant, status);
          await recordWorkspaceState(tenant, workspaceId, {
            state: status.state,
            reason: status.reason,
            since: new Date(status.sinceMs),
            generation: status.generation,
          });
        });
      } catch (error) {
        log().warn({ workspaceId, err: error }, "state not stored");
      }
    }
    isWriting = false;
  }

  return (status) => {
    waiting.set(status.workspaceId, status);
    if (!isWriting) void drain();
  };
}
