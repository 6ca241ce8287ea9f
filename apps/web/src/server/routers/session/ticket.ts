import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { issueSessionTicket } from "#server/domain/workspace/issue-session-ticket.ts";
import { procedure } from "#server/trpc/trpc.ts";

/** A new pass for each connection attempt; a mutation, so that no other page can ask for one. */
export const ticket = procedure
  .input(
    z.object({
      workspaceId: uuid,
      /** A read-only view of a checkpoint, or with null of the disk as it lies there. */
      view: z.object({ checkpointId: uuid.nullable() }).optional(),
    }),
  )
  .mutation(async ({ ctx, input }) => ({
    ticket: await issueSessionTicket(ctx.process, ctx.session, input),
  }));
