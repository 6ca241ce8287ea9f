import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspaceBySlug } from "@atoll/db/workspaces";
import { workspaceSlug } from "@atoll/protocol/ids";
import { z } from "zod";
import { workspaceView } from "#server/domain/workspace/workspace-view.ts";
import { procedure } from "#server/trpc/trpc.ts";

/** A slug that cannot exist and one of somebody else answer alike: workspace.not_found. */
export const get = procedure
  .input(z.object({ slug: z.union([workspaceSlug, z.string().max(200)]) }))
  .query(async ({ ctx, input }) => {
    const { db, statuses } = ctx.process;
    const row = await withTenant(db, ctx.userId, (tenant) => getWorkspaceBySlug(tenant, input.slug));
    return workspaceView(row, statuses.latest(row.id), statuses.isHostReachable);
  });
