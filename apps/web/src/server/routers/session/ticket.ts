import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { issueSessionTicket } from "#server/domain/workspace/issue-session-ticket.ts";
import { procedure } from "#server/trpc/trpc.ts";

/** A new pass for each connection attempt; a mutation, so that no other page can ask for one. */
export const ticket = procedure.input(z.object({ workspaceId: uuid })).mutation(async ({ ctx, input }) => ({
  ticket: await issueSessionTicket(ctx.process, ctx.session, input.workspaceId),
}));
