import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace, touchWorkspace } from "@atoll/db/workspaces";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { resumeWorkspace } from "#server/domain/workspace/start-workspace.ts";
import { procedure } from "#server/trpc/trpc.ts";
import { startContext } from "./start-context.ts";

/** Answers when hostd has accepted; progress comes through `watch`. */
export const resume = procedure.input(z.object({ id: uuid })).mutation(async ({ ctx, input }) => {
  const row = await withTenant(ctx.process.db, ctx.userId, async (tenant) => {
    await getWorkspace(tenant, input.id);
    return touchWorkspace(tenant, input.id);
  });
  await resumeWorkspace(startContext(ctx), row);
});
