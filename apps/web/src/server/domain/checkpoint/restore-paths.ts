import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { touchWorkspace } from "@atoll/db/workspaces";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";
import type { Restore } from "./restore-checkpoint.ts";

/** Some files and folders, into the running workspace; what they replace is in the safety checkpoint. */
export async function restorePaths(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "restorePaths"> },
  userId: string,
  { workspaceId, paths, ...ids }: Restore & { paths: string[] },
): Promise<{ restoredBytes: number }> {
  await withTenant(db, userId, (tenant) => touchWorkspace(tenant, workspaceId));
  return audited({
    db,
    userId,
    // Names of files are the user's own affair: the log says how many.
    event: {
      action: "checkpoint.restore_paths",
      target: workspaceId,
      detail: { ...ids, pathCount: paths.length },
    },
    deed: () => hostd.restorePaths(workspaceId, { ...ids, paths }),
  });
}
