import { uuid } from "@atoll/protocol/ids";
import { LEASE_MAX_SECONDS } from "@atoll/protocol/limits";
import { z } from "zod";
import { keepAwake as apply } from "#server/domain/workspace/keep-awake.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const keepAwake = procedure
  .input(z.object({ id: uuid, seconds: z.number().int().min(0).max(LEASE_MAX_SECONDS) }))
  .mutation(({ ctx, input }) => apply(ctx.process, ctx.session.user, input));
