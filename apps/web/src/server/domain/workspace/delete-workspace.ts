import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { completeErasure } from "@atoll/db/tombstones";
import { withTenant } from "@atoll/db/with-tenant";
import { deleteWorkspaceRow, markWorkspaceDeleted } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Erasure } from "@atoll/protocol/hostd-api";
import type { HostdClient } from "#server/hosts/hostd-client.ts";

export interface EraseContext {
  db: Db;
  hostd: Pick<HostdClient, "deleteWorkspace">;
}

/**
 * Hides the workspace for good, then erases it. When hostd is away this throws, the tombstone stays, and the
 * sweep finishes what was begun; calling again does the same.
 */
export async function deleteWorkspace(context: EraseContext, userId: string, id: string): Promise<Erasure[]> {
  await withTenant(context.db, userId, async (tenant) => {
    await markWorkspaceDeleted(tenant, id);
    await appendAudit(tenant, {
      actor: `user:${userId}`,
      action: "workspace.delete",
      target: id,
      outcome: "ok",
    });
  });
  return finishWorkspaceErasure(context, userId, id);
}

/** Everything after the tombstone. Idempotent. */
export async function finishWorkspaceErasure(
  { db, hostd }: EraseContext,
  userId: string,
  id: string,
): Promise<Erasure[]> {
  const erasures = await eraseOnHost(hostd, id);
  await withTenant(db, userId, async (tenant) => {
    await deleteWorkspaceRow(tenant, id);
    await completeErasure(tenant, "workspace", id);
  });
  return erasures;
}

async function eraseOnHost(hostd: EraseContext["hostd"], id: string): Promise<Erasure[]> {
  try {
    return (await hostd.deleteWorkspace(id)).erasures;
  } catch (error) {
    // No machine was ever made for the row: there is no key and no data.
    if (error instanceof AtollError && error.code === "workspace.not_found") return [];
    throw error;
  }
}
