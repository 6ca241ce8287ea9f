import type { Db } from "./create-db.ts";
import type { Tombstone, TombstoneKind } from "./generated/client.ts";
import type { Tenant } from "./with-tenant.ts";

/** Records that something must be erased, before anything is. Idempotent: the first request's time stays. */
export async function requestErasure(
  { tx, userId }: Tenant,
  kind: TombstoneKind,
  subjectId: string,
): Promise<void> {
  await tx.tombstone.createMany({ data: [{ kind, subjectId, tenantId: userId }], skipDuplicates: true });
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

export function getTombstone(
  { tx }: Tenant,
  kind: TombstoneKind,
  subjectId: string,
): Promise<Tombstone | null> {
  return tx.tombstone.findUnique({ where: { kind_subjectId: { kind, subjectId } } });
}

/** Of all tenants, oldest first: what a control plane re-applies when it starts. Ids and times only. */
export function listTombstones(db: Db, { onlyPending }: { onlyPending: boolean }): Promise<Tombstone[]> {
  return db.$queryRaw<Tombstone[]>`
    SELECT kind, subject_id::text AS "subjectId", tenant_id::text AS "tenantId",
      requested_at AS "requestedAt", completed_at AS "completedAt"
    FROM list_tombstones(${onlyPending})`;
}
