import { randomUUID } from "node:crypto";
import type { Db } from "./create-db.ts";
import type { AuditEvent, AuditOutcome, Prisma } from "./generated/client.ts";
import type { Tenant } from "./with-tenant.ts";

export interface NewAuditEvent {
  /** Who did it: `user:<id>`, `system`, or the address tried at a failed sign-in. */
  actor: string;
  /** `<thing>.<verb>`, such as `workspace.create`. */
  action: string;
  target?: string | null;
  outcome: AuditOutcome;
  /** Small facts only, never a secret: events cannot be deleted. */
  detail?: Prisma.InputJsonObject;
}

export interface AuditPage {
  limit: number;
  /** Only events before this time. */
  before?: Date | undefined;
}

const MAX_ACTOR_CHARS = 300;

/** Part of the caller's transaction: the deed and its record stand or fall together. */
export async function appendAudit({ tx, userId }: Tenant, event: NewAuditEvent): Promise<void> {
  // createMany, because `create` reads the row back.
  await tx.auditEvent.createMany({ data: [toRow(userId, event)] });
}

/** For events of no known tenant, such as a sign-in with an unknown address. */
export async function appendSystemAudit(db: Db, event: NewAuditEvent): Promise<void> {
  await db.auditEvent.createMany({ data: [toRow(null, event)] });
}

/** Newest first. */
export function listAudit({ tx, userId }: Tenant, { limit, before }: AuditPage): Promise<AuditEvent[]> {
  return tx.auditEvent.findMany({
    where: { tenantId: userId, ...(before ? { at: { lt: before } } : {}) },
    orderBy: { at: "desc" },
    take: limit,
  });
}

function toRow(tenantId: string | null, event: NewAuditEvent): Prisma.AuditEventCreateManyInput {
  const { actor, action, outcome } = event;
  return {
    id: randomUUID(),
    tenantId,
    actor: actor.slice(0, MAX_ACTOR_CHARS),
    action,
    target: event.target?.slice(0, MAX_ACTOR_CHARS) ?? null,
    outcome,
    detail: event.detail ?? {},
  };
}
