import { uuid } from "@atoll/protocol/ids";
import { egressPreset } from "@atoll/protocol/messages/egress";
import { z } from "zod";
import { setEgress as apply } from "#server/domain/workspace/set-egress.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const setEgress = procedure
  .input(z.object({ id: uuid, egress: egressPreset }))
  .mutation(({ ctx, input }) => apply(ctx.process, ctx.userId, input));
