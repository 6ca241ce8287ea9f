import { randomUUID } from "node:crypto";
import { appendAudit } from "@atoll/db/audit";
import { revokeAllAuthSessions } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { hashUserId, saveReceipt } from "@atoll/db/receipts";
import { completeErasure, getTombstone, requestErasure } from "@atoll/db/tombstones";
import { deleteUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { deleteWorkspaceRow, listWorkspacesToErase, markWorkspaceDeleted } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import type { AccountReceipt } from "./account-receipt.ts";

export interface AccountErasureContext {
  db: Db;
  hostd: Pick<HostdClient, "deleteOwner" | "revokeSessions">;
}

/**
 * Ends every sign-in and hides every workspace, then destroys the keys, then forgets the account. When hostd
 * is away this throws after the first step; nobody can sign in any more and the sweep finishes the rest.
 */
export async function deleteAccount(context: AccountErasureContext, userId: string): Promise<AccountReceipt> {
  await withTenant(context.db, userId, async (tenant) => {
    await requestErasure(tenant, "account", userId);
    await revokeAllAuthSessions(tenant);
    for (const row of await listWorkspacesToErase(tenant)) await markWorkspaceDeleted(tenant, row.id);
    await appendAudit(tenant, {
      actor: `user:${userId}`,
      action: "account.delete",
      target: userId,
      outcome: "ok",
    });
  });
  return finishAccountErasure(context, userId);
}

/** Everything after the tombstone. Idempotent. */
export async function finishAccountErasure(
  { db, hostd }: AccountErasureContext,
  userId: string,
): Promise<AccountReceipt> {
  await hostd.revokeSessions({ userId });
  const answer = await deleteOwner(hostd, userId);
  return withTenant(db, userId, async (tenant) => {
    const tombstone = await getTombstone(tenant, "account", userId);
    const rows = await listWorkspacesToErase(tenant);
    for (const row of rows) {
      await deleteWorkspaceRow(tenant, row.id);
      await completeErasure(tenant, "workspace", row.id);
    }
    const completedAtMs = Date.now();
    const receipt: AccountReceipt = {
      receiptId: randomUUID(),
      scope: "account",
      userHash: hashUserId(userId),
      requestedAtMs: tombstone?.requestedAt.getTime() ?? completedAtMs,
      completedAtMs,
      workspaceCount: rows.length,
      ...answer,
    };
    await saveReceipt(tenant, receipt.receiptId, JSON.stringify(receipt));
    await deleteUser(tenant);
    await completeErasure(tenant, "account", userId);
    return receipt;
  });
}

async function deleteOwner(hostd: AccountErasureContext["hostd"], userId: string) {
  try {
    return await hostd.deleteOwner(userId);
  } catch (error) {
    // Somebody who never made a workspace has no key there.
    if (
      error instanceof AtollError &&
      (error.code === "workspace.not_found" || error.code === "key.not_found")
    )
      return { erasures: [], ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null };
    throw error;
  }
}
