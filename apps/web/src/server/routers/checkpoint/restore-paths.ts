import { uuid } from "@atoll/protocol/ids";
import { guestPath } from "@atoll/protocol/messages/files";
import { z } from "zod";
import { restorePaths as apply } from "#server/domain/checkpoint/restore-paths.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const restorePaths = procedure
  .input(
    z.object({
      workspaceId: uuid,
      checkpointId: uuid,
      safetyCheckpointId: uuid,
      paths: z.array(guestPath).min(1).max(1000),
    }),
  )
  .mutation(({ ctx, input }) => apply(ctx.process, ctx.userId, input));
