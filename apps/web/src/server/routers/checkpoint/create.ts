import { checkpointName } from "@atoll/protocol/hostd-api";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { createCheckpoint } from "#server/domain/checkpoint/create-checkpoint.ts";
import { procedure } from "#server/trpc/trpc.ts";

/** Answers when it is made. */
export const create = procedure
  .input(z.object({ workspaceId: uuid, checkpointId: uuid, name: checkpointName, withMemory: z.boolean() }))
  .mutation(({ ctx, input }) => createCheckpoint(ctx.process, ctx.session.user, input));
