import { previewPort, uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { env } from "#env.ts";
import { issuePreviewUrl } from "#server/domain/workspace/issue-preview-url.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const open = procedure
  .input(z.object({ workspaceId: uuid, port: previewPort, path: z.string().max(2000).startsWith("/") }))
  .mutation(async ({ ctx, input }) => ({
    url: await issuePreviewUrl(ctx.process, ctx.session, { ...input, site: env() }),
  }));
