import { listTemplates } from "#server/domain/template/list-templates.ts";
import { log } from "#server/log.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const list = procedure.query(({ ctx }) =>
  listTemplates(
    {
      ...ctx.process,
      onLateFailure: (error) => log().warn({ err: error }, "template not erased yet"),
    },
    ctx.userId,
  ),
);
