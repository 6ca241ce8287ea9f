import { createHash } from "node:crypto";
import type { Db } from "./create-db.ts";
import type { ErasureReceipt } from "./generated/client.ts";
import { isUuid, type Tenant } from "./with-tenant.ts";

export interface StoredReceipt {
  json: string;
  createdAt: Date;
}

/** SHA-256 in hex, as receipts name their subjects. */
export function hashId(id: string): string {
  return createHash("sha256").update(id).digest("hex");
}

/** `json` is kept byte for byte: a changed byte is a receipt that does not hold. Idempotent by id; never overwrites. */
export async function saveReceipt({ tx, userId }: Tenant, id: string, json: string): Promise<void> {
  await tx.erasureReceipt.createMany({
    data: [{ id, json, userHash: hashId(userId) }],
    skipDuplicates: true,
  });
}

/** Newest first. */
export function listReceipts({ tx, userId }: Tenant): Promise<ErasureReceipt[]> {
  return tx.erasureReceipt.findMany({
    where: { userHash: hashId(userId) },
    orderBy: { createdAt: "desc" },
  });
}

/** For the page behind a receipt's link: its account is gone, its random id is what the visitor knows. */
export async function findReceiptById(db: Db, id: string): Promise<StoredReceipt | null> {
  if (!isUuid(id)) return null;
  const rows = await db.$queryRaw<StoredReceipt[]>`
    SELECT json, created_at AS "createdAt" FROM receipt_by_id(${id}::uuid)`;
  return rows[0] ?? null;
}
