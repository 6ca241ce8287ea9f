import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { deleteTemplate } from "#server/domain/template/delete-template.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const remove = procedure
  .input(z.object({ id: uuid }))
  .mutation(({ ctx, input }) => deleteTemplate(ctx.process, ctx.userId, input.id));
