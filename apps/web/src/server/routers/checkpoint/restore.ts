import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { restoreCheckpoint } from "#server/domain/checkpoint/restore-checkpoint.ts";
import { procedure } from "#server/trpc/trpc.ts";

/** Answers when it is done; a repeat with the same safety checkpoint does nothing more. */
export const restore = procedure
  .input(z.object({ workspaceId: uuid, checkpointId: uuid, safetyCheckpointId: uuid }))
  .mutation(({ ctx, input }) => restoreCheckpoint(ctx.process, ctx.userId, input));
