import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { touchWorkspace } from "@atoll/db/workspaces";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";

export interface Restore {
  workspaceId: string;
  checkpointId: string;
  /** Id of the checkpoint of the present state that is made first; restoring that one undoes this. */
  safetyCheckpointId: string;
}

/** Everything as it was then. Answers when done. */
export async function restoreCheckpoint(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "restore"> },
  userId: string,
  { workspaceId, checkpointId, safetyCheckpointId }: Restore,
): Promise<void> {
  await withTenant(db, userId, (tenant) => touchWorkspace(tenant, workspaceId));
  await audited({
    db,
    userId,
    event: {
      action: "checkpoint.restore",
      target: workspaceId,
      detail: { checkpointId, safetyCheckpointId },
    },
    deed: () => hostd.restore(workspaceId, { checkpointId, safetyCheckpointId }),
  });
}
