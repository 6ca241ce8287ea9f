import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { createTemplate } from "#server/domain/template/create-template.ts";
import { workspaceName } from "#server/domain/workspace/workspace-name.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const create = procedure
  .input(z.object({ id: uuid, name: workspaceName, workspaceId: uuid, checkpointId: uuid }))
  .mutation(({ ctx, input }) => createTemplate(ctx.process, ctx.userId, input));
