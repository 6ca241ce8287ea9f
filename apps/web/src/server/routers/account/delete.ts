import { z } from "zod";
import { PASSWORD_MAX_CHARS } from "#server/auth/credentials.schema.ts";
import { confirmIdentity } from "#server/domain/account/confirm-identity.ts";
import { deleteAccount } from "#server/domain/account/delete-account.ts";
import { log } from "#server/log.ts";
import { procedure } from "#server/trpc/trpc.ts";

export const remove = procedure
  .input(z.object({ email: z.string().max(254), password: z.string().max(PASSWORD_MAX_CHARS) }))
  .mutation(async ({ ctx, input }) => {
    const { db, limits } = ctx.process;
    const { accountFailures } = limits;
    await confirmIdentity({ db, accountFailures, now: Date.now() }, ctx.session, input);
    const { receiptId, status, failure } = await deleteAccount(ctx.process, ctx.userId);
    if (failure !== undefined) log().warn({ err: failure, receiptId }, "an account's erasure waits");
    return { receiptId, status };
  });
