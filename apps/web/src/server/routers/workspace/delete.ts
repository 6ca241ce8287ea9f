import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { deleteWorkspace } from "#server/domain/workspace/delete-workspace.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const remove = procedure
  .input(z.object({ id: uuid }))
  .mutation(({ ctx, input }) => deleteWorkspace(ctx.process, ctx.userId, input.id));
