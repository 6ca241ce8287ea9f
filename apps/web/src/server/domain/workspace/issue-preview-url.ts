import type { LiveSession } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import { PREVIEW_ENTER_PATH } from "@atoll/protocol/tickets";
import type { TicketIssuer } from "#server/tickets/ticket-issuer.ts";

export interface PreviewTarget {
  workspaceId: string;
  port: number;
  /** Where on the preview host to land. */
  path: string;
  site: { webUrl: URL; previewDomain: string; previewPort: number };
}

/** An address that works once, within 30 s, and leaves a cookie for that one preview host. */
export async function issuePreviewUrl(
  { db, tickets }: { db: Db; tickets: TicketIssuer },
  { user, session }: LiveSession,
  { workspaceId, port, path, site }: PreviewTarget,
): Promise<string> {
  const row = await withTenant(db, user.id, (tenant) => getWorkspace(tenant, workspaceId));
  const ticket = await tickets.preview({
    userId: user.id,
    workspaceId: row.id,
    slug: row.slug,
    port,
    authSessionId: session.id,
  });
  const host = `${port}-${row.slug}.${site.previewDomain}:${site.previewPort}`;
  const url = new URL(PREVIEW_ENTER_PATH, `${site.webUrl.protocol}//${host}`);
  url.searchParams.set("ticket", ticket);
  url.searchParams.set("to", path);
  return url.href;
}
