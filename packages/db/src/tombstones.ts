import type { Db } from "./create-db.ts";
import type { Tombstone, TombstoneKind } from "./generated/client.ts";
import { isUuid, type Tenant } from "./with-tenant.ts";

/** Records that something must be erased, before anything is. Idempotent: the first request's time stays. */
export async function requestErasure(
  { tx, userId }: Tenant,
  kind: TombstoneKind,
  subjectId: string,
  requestedAt: Date = new Date(),
): Promise<void> {
  const data = [{ kind, subjectId, tenantId: userId, requestedAt }];
  await tx.tombstone.createMany({ data, skipDuplicates: true });
}

/** Call only after key, data and rows are gone. Idempotent. */
export async function completeErasure(
  { tx, userId }: Tenant,
  kind: TombstoneKind,
  subjectId: string,
  now: Date = new Date(),
): Promise<void> {
  await tx.tombstone.updateMany({
    where: { kind, subjectId, tenantId: userId, completedAt: null },
    data: { completedAt: now },
  });
}

/** For what came back after it was erased: it is asked for anew, under the same receipt. Idempotent. */
export async function reopenErasure(
  { tx, userId }: Tenant,
  kind: TombstoneKind,
  subjectId: string,
): Promise<void> {
  await tx.tombstone.updateMany({
    where: { kind, subjectId, tenantId: userId },
    data: { completedAt: null },
  });
}

export function getTombstone(
  { tx }: Tenant,
  kind: TombstoneKind,
  subjectId: string,
): Promise<Tombstone | null> {
  return tx.tombstone.findUnique({ where: { kind_subjectId: { kind, subjectId } } });
}

export type ListedTombstone = Omit<Tombstone, "forgottenAt">;

/** Of all tenants, oldest first: what a control plane re-applies when it starts. Ids and times only. */
export function listTombstones(
  db: Db,
  { onlyPending }: { onlyPending: boolean },
): Promise<ListedTombstone[]> {
  return db.$queryRaw<ListedTombstone[]>`
    SELECT kind, subject_id::text AS "subjectId", tenant_id::text AS "tenantId",
      requested_at AS "requestedAt", completed_at AS "completedAt", receipt_id::text AS "receiptId"
    FROM list_tombstones(${onlyPending})`;
}

export type RequestedErasure = Pick<Tombstone, "kind" | "requestedAt" | "completedAt">;

/** What the receipt of this id is waited for; for the page behind its address. */
export async function findErasureByReceipt(db: Db, receiptId: string): Promise<RequestedErasure | null> {
  if (!isUuid(receiptId)) return null;
  const rows = await db.$queryRaw<RequestedErasure[]>`
    SELECT kind, requested_at AS "requestedAt", completed_at AS "completedAt"
    FROM erasure_by_receipt(${receiptId}::uuid)`;
  return rows[0] ?? null;
}

/** Of any tenant: only for deleting again what a restored backup brought back. */
export async function findWorkspaceOwner(db: Db, workspaceId: string): Promise<string | null> {
  if (!isUuid(workspaceId)) return null;
  const rows = await db.$queryRaw<Array<{ owner: string | null }>>`
    SELECT workspace_owner(${workspaceId}::uuid)::text AS "owner"`;
  return rows[0]?.owner ?? null;
}
