import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";

export async function deleteCheckpoint(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "deleteCheckpoint"> },
  userId: string,
  { workspaceId, checkpointId }: { workspaceId: string; checkpointId: string },
): Promise<void> {
  await withTenant(db, userId, (tenant) => getWorkspace(tenant, workspaceId));
  await audited({
    db,
    userId,
    event: { action: "checkpoint.delete", target: workspaceId, detail: { checkpointId } },
    deed: () => hostd.deleteCheckpoint(workspaceId, checkpointId),
  });
}
