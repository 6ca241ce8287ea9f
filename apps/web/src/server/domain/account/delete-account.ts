import { appendAudit } from "@atoll/db/audit";
import { revokeAllAuthSessions } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { saveReceipt } from "@atoll/db/receipts";
import { completeErasure, getTombstone, requestErasure } from "@atoll/db/tombstones";
import { deleteUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { deleteWorkspaceRow, listWorkspacesToErase, markWorkspaceDeleted } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import type { ReceiptIssuer } from "#server/receipts/receipt-issuer.ts";
import type { DeleteAnswer } from "#server/receipts/receipt-of.ts";

export interface AccountErasureContext {
  db: Db;
  hostd: Pick<HostdClient, "deleteOwner" | "revokeSessions">;
  receipts: Pick<ReceiptIssuer, "issue">;
}

export interface ErasureOutcome {
  /** Where the receipt is, or will be. */
  receiptId: string;
  /** `pending`: the keys are not destroyed yet; the sweep goes on until they are. */
  status: "erased" | "pending";
  /** What it waits for. */
  failure?: unknown;
}

/**
 * Ends every sign-in and hides every workspace, then destroys the keys, then forgets the account. Whatever hinders the
 * later steps, nobody can sign in any more once the first is stored.
 */
export async function deleteAccount(context: AccountErasureContext, userId: string): Promise<ErasureOutcome> {
  const receiptId = await closeAccount(context.db, userId, `user:${userId}`);
  try {
    await finishAccountErasure(context, userId);
    return { receiptId, status: "erased" };
  } catch (failure) {
    return { receiptId, status: "pending", failure };
  }
}

/** The first step, in one transaction. Idempotent. Answers the id of the receipt to come. */
export function closeAccount(
  db: Db,
  userId: string,
  actor: string,
  requestedAt: Date = new Date(),
): Promise<string> {
  return withTenant(db, userId, async (tenant) => {
    await requestErasure(tenant, "account", userId, requestedAt);
    await revokeAllAuthSessions(tenant);
    for (const row of await listWorkspacesToErase(tenant)) {
      await markWorkspaceDeleted(tenant, row.id, requestedAt);
    }
    await appendAudit(tenant, { actor, action: "account.delete", target: userId, outcome: "ok" });
    const tombstone = await getTombstone(tenant, "account", userId);
    if (tombstone === null) throw new AtollError("internal", "the tombstone was not stored");
    return tombstone.receiptId;
  });
}

/** Everything after the tombstone. Idempotent; a receipt that was issued stays as it is. */
export async function finishAccountErasure(
  { db, hostd, receipts }: AccountErasureContext,
  userId: string,
): Promise<void> {
  await hostd.revokeSessions({ userId });
  const answer = await deleteOwner(hostd, userId);
  const { tombstone, workspaceIds } = await withTenant(db, userId, async (tenant) => ({
    tombstone: await getTombstone(tenant, "account", userId),
    workspaceIds: (await listWorkspacesToErase(tenant)).map(({ id }) => id),
  }));
  if (tombstone === null) throw new AtollError("internal", "an account without a tombstone is not erased");
  const { receiptId, requestedAt } = tombstone;
  const text = await receipts.issue({
    receiptId,
    scope: "account",
    subjectId: userId,
    requestedAtMs: requestedAt.getTime(),
    workspaceIds,
    answer,
  });
  await withTenant(db, userId, async (tenant) => {
    for (const id of workspaceIds) {
      await deleteWorkspaceRow(tenant, id);
      await completeErasure(tenant, "workspace", id);
    }
    await saveReceipt(tenant, receiptId, text);
    await appendAudit(tenant, {
      actor: "system",
      action: "account.erased",
      target: receiptId,
      outcome: "ok",
    });
    await deleteUser(tenant);
    await completeErasure(tenant, "account", userId);
  });
}

async function deleteOwner(hostd: AccountErasureContext["hostd"], userId: string): Promise<DeleteAnswer> {
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
