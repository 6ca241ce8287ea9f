import { appendAudit, type NewAuditEvent } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { toAtollError } from "@atoll/protocol/atoll-error";

export interface AuditedDeed<T> {
  db: Db;
  userId: string;
  event: Omit<NewAuditEvent, "actor" | "outcome">;
  deed: () => Promise<T>;
}

/** Does something on a host and records how it went; what was refused is recorded with its code. */
export async function audited<T>({ db, userId, event, deed }: AuditedDeed<T>): Promise<T> {
  const record = (outcome: "ok" | "failed", detail: NonNullable<NewAuditEvent["detail"]>) =>
    withTenant(db, userId, (tenant) =>
      appendAudit(tenant, {
        ...event,
        actor: `user:${userId}`,
        outcome,
        detail: { ...event.detail, ...detail },
      }),
    );
  let result: T;
  try {
    result = await deed();
  } catch (error) {
    await record("failed", { code: toAtollError(error).code });
    throw error;
  }
  await record("ok", {});
  return result;
}
