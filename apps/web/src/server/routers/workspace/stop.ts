import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { procedure } from "#server/trpc/trpc.ts";

/** Answers when the workspace has stopped. */
export const stop = procedure.input(z.object({ id: uuid })).mutation(async ({ ctx, input }) => {
  await withTenant(ctx.process.db, ctx.userId, (tenant) => getWorkspace(tenant, input.id));
  await ctx.process.hostd.lifecycle(input.id, "stop");
});
