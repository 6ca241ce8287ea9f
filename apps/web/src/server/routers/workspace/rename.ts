import { withTenant } from "@atoll/db/with-tenant";
import { renameWorkspace } from "@atoll/db/workspaces";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { workspaceName } from "#server/domain/workspace/workspace-name.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const rename = procedure
  .input(z.object({ id: uuid, name: workspaceName }))
  .mutation(async ({ ctx, input }) => {
    await withTenant(ctx.process.db, ctx.userId, (tenant) => renameWorkspace(tenant, input.id, input.name));
  });
