import { toAtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { z } from "zod";
import { createWorkspace } from "#server/domain/workspace/create-workspace.ts";
import { workspaceName } from "#server/domain/workspace/workspace-name.ts";
import { workspaceView } from "#server/domain/workspace/workspace-view.ts";
import { procedure } from "#server/trpc/trpc.ts";
import { startContext } from "./start-context.ts";

export const create = procedure
  .input(
    z.object({
      id: uuid,
      name: workspaceName,
      cpus: z.number().int().min(1).max(64),
      memoryMb: z.number().int().min(512).max(262_144),
      diskMb: z.number().int().min(1024).max(1_048_576),
      egress: egressPreset,
      /** Disposable: erased this many seconds from now, whatever its state. */
      expiresInSeconds: z.number().int().min(60).max(31_536_000).optional(),
    }),
  )
  .mutation(async ({ ctx, input: { expiresInSeconds, ...input } }) => {
    const { db, statuses } = ctx.process;
    const outcome = await createWorkspace({ ...startContext(ctx), db }, ctx.userId, {
      ...input,
      ...(expiresInSeconds ? { expiresAt: new Date(Date.now() + expiresInSeconds * 1000) } : {}),
    });
    const { workspace, startError } = outcome;
    return {
      workspace: workspaceView(workspace, statuses.latest(workspace.id), statuses.isHostReachable),
      startErrorCode: startError === undefined ? undefined : toAtollError(startError).code,
    };
  });
