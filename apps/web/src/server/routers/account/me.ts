import { listAuthSessions } from "@atoll/db/auth-sessions";
import { getPasswordHash } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { procedure } from "#server/trpc/trpc.ts";

export const me = procedure.query(async ({ ctx }) => {
  const { email, name, plan, createdAt } = ctx.session.user;
  return withTenant(ctx.process.db, ctx.userId, async (tenant) => ({
    email,
    name,
    plan,
    createdAt,
    sessionCount: (await listAuthSessions(tenant)).length,
    hasPassword: (await getPasswordHash(tenant)) !== null,
  }));
});
