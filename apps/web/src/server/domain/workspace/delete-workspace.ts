import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { saveReceipt } from "@atoll/db/receipts";
import { completeErasure, getTombstone } from "@atoll/db/tombstones";
import { withTenant } from "@atoll/db/with-tenant";
import { deleteWorkspaceRow, markWorkspaceDeleted } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Erasure } from "@atoll/protocol/hostd-api";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import type { ReceiptIssuer } from "#server/receipts/receipt-issuer.ts";

export interface EraseContext {
  db: Db;
  hostd: Pick<HostdClient, "deleteWorkspace">;
  receipts: Pick<ReceiptIssuer, "issue">;
}

export interface WorkspaceErasure {
  erasures: Erasure[];
  receiptId: string;
}

/**
 * Hides the workspace for good, then erases it. When hostd is away this throws, the tombstone stays, and the
 * sweep finishes what was begun; calling again does the same.
 */
export async function deleteWorkspace(
  context: EraseContext,
  userId: string,
  id: string,
): Promise<WorkspaceErasure> {
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

/** Everything after the tombstone. Idempotent; a receipt that was issued stays as it is. */
export async function finishWorkspaceErasure(
  { db, hostd, receipts }: EraseContext,
  userId: string,
  id: string,
): Promise<WorkspaceErasure> {
  const answer = await hostd.deleteWorkspace(id);
  const tombstone = await withTenant(db, userId, (tenant) => getTombstone(tenant, "workspace", id));
  if (tombstone === null) throw new AtollError("internal", "a workspace without a tombstone is not erased");
  const { receiptId, requestedAt } = tombstone;
  const text = await receipts.issue({
    receiptId,
    scope: "workspace",
    subjectId: id,
    requestedAtMs: requestedAt.getTime(),
    workspaceIds: [id],
    answer,
  });
  await withTenant(db, userId, async (tenant) => {
    await deleteWorkspaceRow(tenant, id);
    await saveReceipt(tenant, receiptId, text);
    await completeErasure(tenant, "workspace", id);
  });
  return { erasures: answer.erasures, receiptId };
}
