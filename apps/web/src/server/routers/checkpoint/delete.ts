import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { deleteCheckpoint } from "#server/domain/checkpoint/delete-checkpoint.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const remove = procedure
  .input(z.object({ workspaceId: uuid, checkpointId: uuid }))
  .mutation(({ ctx, input }) => deleteCheckpoint(ctx.process, ctx.userId, input));
