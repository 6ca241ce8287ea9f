import { uuid } from "@atoll/protocol/ids";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { z } from "zod";
import { createWorkspace } from "#server/domain/workspace/create-workspace.ts";
import { workspaceName } from "#server/domain/workspace/workspace-name.ts";
import { procedure } from "#server/trpc/trpc.ts";
import { expiresInSeconds, expiryOf } from "./disposable.ts";
import { startAnswer } from "./start-answer.ts";
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
      expiresInSeconds,
    }),
  )
  .mutation(async ({ ctx, input: { expiresInSeconds: seconds, ...input } }) => {
    const wish = { ...input, ...expiryOf(seconds) };
    return startAnswer(
      ctx,
      await createWorkspace({ ...startContext(ctx), db: ctx.process.db }, ctx.userId, wish),
    );
  });
