import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { publishTemplate } from "#server/domain/template/publish-template.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const publish = procedure
  .input(z.object({ id: uuid }))
  .mutation(({ ctx, input }) => publishTemplate(ctx.process, ctx.userId, input.id));
