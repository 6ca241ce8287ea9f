import type { LiveSession } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { touchWorkspace } from "@atoll/db/workspaces";
import { PLANS } from "@atoll/protocol/plans";
import type { TicketIssuer } from "#server/tickets/ticket-issuer.ts";

/** Counts as using the workspace. @throws AtollError workspace.not_found, for another user's workspace too */
export async function issueSessionTicket(
  { db, tickets }: { db: Db; tickets: TicketIssuer },
  { user, session }: LiveSession,
  workspaceId: string,
): Promise<string> {
  const row = await withTenant(db, user.id, (tenant) => touchWorkspace(tenant, workspaceId));
  const plan = PLANS[user.plan];
  return tickets.session({
    userId: user.id,
    workspaceId: row.id,
    slug: row.slug,
    authSessionId: session.id,
    planLabel: plan.label,
    maxSessions: plan.maxSessions,
  });
}
