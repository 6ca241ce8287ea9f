import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { findWorkspaceOwner, listTombstones, reopenErasure } from "@atoll/db/tombstones";
import { getUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { markWorkspaceDeleted } from "@atoll/db/workspaces";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { closeAccount } from "./delete-account.ts";

export interface TombstoneContext {
  db: Db;
  hostd: Pick<HostdClient, "tombstones">;
}

/**
 * Takes back what a restored backup of the database brought back: whatever hostd or the database knows as erased is closed
 * and hidden again, before anything is served. The sweep then erases it again. Answers how many there were.
 */
export async function applyTombstones({ db, hostd }: TombstoneContext): Promise<number> {
  const accounts = new Set<string>();
  const workspaces = new Set<string>();
  for (const { kind, id } of (await hostd.tombstones()).tombstones)
    (kind === "owner" ? accounts : workspaces).add(id);
  for (const { kind, subjectId, completedAt } of await listTombstones(db, { onlyPending: false })) {
    // What is pending was never finished: no row of it has come back.
    if (completedAt !== null) (kind === "account" ? accounts : workspaces).add(subjectId);
  }
  let count = 0;
  for (const userId of accounts) count += await closeAgain(db, userId);
  for (const id of workspaces) count += await hideAgain(db, id);
  return count;
}

async function closeAgain(db: Db, userId: string): Promise<number> {
  if ((await withTenant(db, userId, getUser)) === null) return 0;
  await closeAccount(db, userId, "system");
  await withTenant(db, userId, (tenant) => reopenErasure(tenant, "account", userId));
  return 1;
}

async function hideAgain(db: Db, workspaceId: string): Promise<number> {
  const ownerId = await findWorkspaceOwner(db, workspaceId);
  if (ownerId === null) return 0;
  return withTenant(db, ownerId, async (tenant) => {
    const { deletedAt } = await markWorkspaceDeleted(tenant, workspaceId);
    await reopenErasure(tenant, "workspace", workspaceId);
    await appendAudit(tenant, {
      actor: "system",
      action: "workspace.delete",
      target: workspaceId,
      outcome: "ok",
      detail: { reason: "tombstone", wasHidden: deletedAt !== null },
    });
    return 1;
  });
}
