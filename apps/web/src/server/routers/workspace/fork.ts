import { toAtollError } from "@atoll/protocol/atoll-error";
import { workspaceOrigin } from "@atoll/protocol/hostd-api";
import { uuid } from "@atoll/protocol/ids";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { z } from "zod";
import { forkWorkspace } from "#server/domain/workspace/fork-workspace.ts";
import { workspaceName } from "#server/domain/workspace/workspace-name.ts";
import { workspaceView } from "#server/domain/workspace/workspace-view.ts";
import { procedure } from "#server/trpc/trpc.ts";
import { startContext } from "./start-context.ts";

export const fork = procedure
  .input(
    z.object({
      id: uuid,
      name: workspaceName,
      origin: workspaceOrigin,
      egress: egressPreset.optional(),
      expiresInSeconds: z.number().int().min(60).max(31_536_000).optional(),
    }),
  )
  .mutation(async ({ ctx, input: { expiresInSeconds, ...input } }) => {
    const { db, statuses } = ctx.process;
    const outcome = await forkWorkspace({ ...startContext(ctx), db }, ctx.userId, {
      ...input,
      ...(expiresInSeconds ? { expiresAt: new Date(Date.now() + expiresInSeconds * 1000) } : {}),
    });
    const { workspace, startError } = outcome;
    return {
      workspace: workspaceView(workspace, statuses.latest(workspace.id), statuses.isHostReachable),
      startErrorCode: startError === undefined ? undefined : toAtollError(startError).code,
    };
  });
