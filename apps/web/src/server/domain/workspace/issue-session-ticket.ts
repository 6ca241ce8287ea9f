import type { LiveSession } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace, touchWorkspace } from "@atoll/db/workspaces";
import { PLANS } from "@atoll/protocol/plans";
import type { SessionTicketClaims } from "@atoll/protocol/tickets";
import type { TicketIssuer } from "#server/tickets/ticket-issuer.ts";

export interface SessionTarget {
  workspaceId: string;
  /** A stored state of it instead of the workspace itself. */
  view?: SessionTicketClaims["view"];
}

/**
 * Counts as using the workspace, unless it is for a view: looking at stored files is not work. Whether the checkpoint
 * is one of this workspace is the host's to say.
 * @throws AtollError workspace.not_found, for another user's workspace too
 */
export async function issueSessionTicket(
  { db, tickets }: { db: Db; tickets: TicketIssuer },
  { user, session }: LiveSession,
  { workspaceId, view }: SessionTarget,
): Promise<string> {
  const row = await withTenant(db, user.id, (tenant) =>
    view ? getWorkspace(tenant, workspaceId) : touchWorkspace(tenant, workspaceId),
  );
  const plan = PLANS[user.plan];
  return tickets.session({
    userId: user.id,
    workspaceId: row.id,
    slug: row.slug,
    authSessionId: session.id,
    planLabel: plan.label,
    maxSessions: plan.maxSessions,
    ...(view ? { view } : {}),
  });
}
