import { listReceipts } from "@atoll/db/receipts";
import { withTenant } from "@atoll/db/with-tenant";
import { procedure } from "#server/trpc/trpc.ts";

/** Newest first. What they are about is in the receipts themselves. */
export const receipts = procedure.query(async ({ ctx }) => {
  const stored = await withTenant(ctx.process.db, ctx.userId, listReceipts);
  return stored.map(({ id, createdAt }) => ({ id, createdAt }));
});
