import { workspaceOrigin } from "@atoll/protocol/hostd-api";
import { uuid } from "@atoll/protocol/ids";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { z } from "zod";
import { forkWorkspace } from "#server/domain/workspace/fork-workspace.ts";
import { workspaceName } from "#server/domain/workspace/workspace-name.ts";
import { procedure } from "#server/trpc/trpc.ts";
import { expiresInSeconds, expiryOf } from "./disposable.ts";
import { startAnswer } from "./start-answer.ts";
import { startContext } from "./start-context.ts";

export const fork = procedure
  .input(
    z.object({
      id: uuid,
      name: workspaceName,
      origin: workspaceOrigin,
      egress: egressPreset.optional(),
      expiresInSeconds,
    }),
  )
  .mutation(async ({ ctx, input: { expiresInSeconds: seconds, ...input } }) => {
    const wish = { ...input, ...expiryOf(seconds) };
    return startAnswer(
      ctx,
      await forkWorkspace({ ...startContext(ctx), db: ctx.process.db }, ctx.userId, wish),
    );
  });
