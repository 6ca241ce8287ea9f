import { withTenant } from "@atoll/db/with-tenant";
import { listWorkspaces } from "@atoll/db/workspaces";
import { workspaceView } from "#server/domain/workspace/workspace-view.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const list = procedure.query(async ({ ctx }) => {
  const { db, statuses } = ctx.process;
  const rows = await withTenant(db, ctx.userId, listWorkspaces);
  return {
    isHostReachable: statuses.isHostReachable,
    workspaces: rows.map((row) => workspaceView(row, statuses.latest(row.id), statuses.isHostReachable)),
  };
});
