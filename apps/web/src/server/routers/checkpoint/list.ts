import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { listCheckpoints } from "#server/domain/checkpoint/list-checkpoints.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const list = procedure
  .input(z.object({ workspaceId: uuid }))
  .query(({ ctx, input }) => listCheckpoints(ctx.process, ctx.session.user, input.workspaceId));
