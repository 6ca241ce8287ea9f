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
  // When each was asked for: a receipt that is signed anew says so.
  const accounts = new Map<string, Date>();
  const workspaces = new Map<string, Date>();
  for (const { kind, subjectId, requestedAt, completedAt } of await listTombstones(db, {
    onlyPending: false,
  })) {
    // What is pending was never finished: no row of it has come back.
    if (completedAt !== null) (kind === "account" ? accounts : workspaces).set(subjectId, requestedAt);
  }
  for (const { kind, id, requestedAtMs } of (await hostd.tombstones()).tombstones)
    (kind === "owner" ? accounts : workspaces).set(id, new Date(requestedAtMs));
  let count = 0;
  for (const [userId, requestedAt] of accounts) count += await closeAgain(db, userId, requestedAt);
  for (const [id, requestedAt] of workspaces) count += await hideAgain(db, id, requestedAt);
  return count;
}

async function closeAgain(db: Db, userId: string, requestedAt: Date): Promise<number> {
  if ((await withTenant(db, userId, getUser)) === null) return 0;
  await closeAccount(db, userId, "system", requestedAt);
  await withTenant(db, userId, (tenant) => reopenErasure(tenant, "account", userId));
  return 1;
}

async function hideAgain(db: Db, workspaceId: string, requestedAt: Date): Promise<number> {
  const ownerId = await findWorkspaceOwner(db, workspaceId);
  if (ownerId === null) return 0;
  return withTenant(db, ownerId, async (tenant) => {
    const { deletedAt } = await markWorkspaceDeleted(tenant, workspaceId, requestedAt);
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
