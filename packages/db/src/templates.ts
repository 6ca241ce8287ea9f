import { AtollError } from "@atoll/protocol/atoll-error";
import type { Template } from "./generated/client.ts";
import { isUuid, type Tenant } from "./with-tenant.ts";

export interface NewTemplate {
  /** Chosen by the caller: repeating answers the first row. */
  id: string;
  name: string;
  sourceWorkspaceId: string;
  checkpointId: string;
  image: string;
  cpus: number;
  memoryMb: number;
  diskMb: number;
}

/** Repeating answers the row of the first. @throws AtollError template.not_found when the id is another user's */
export async function createTemplate(tenant: Tenant, wanted: NewTemplate): Promise<Template> {
  const { tx, userId } = tenant;
  await tx.template.createMany({ data: [{ ...wanted, ownerId: userId }], skipDuplicates: true });
  return getOwnTemplate(tenant, wanted.id);
}

/** The user's own and everything published, newest first. */
export function listTemplates({ tx }: Tenant): Promise<Template[]> {
  return tx.template.findMany({ where: { deletedAt: null }, orderBy: { createdAt: "desc" }, take: 200 });
}

/** For a change of it. */
export async function getOwnTemplate({ tx, userId }: Tenant, id: string): Promise<Template> {
  return found(
    isUuid(id) ? await tx.template.findFirst({ where: { id, ownerId: userId, deletedAt: null } }) : null,
  );
}

/** For a use of it: one's own, drafts too, and what others published. */
export async function getUsableTemplate({ tx }: Tenant, id: string): Promise<Template> {
  return found(isUuid(id) ? await tx.template.findFirst({ where: { id, deletedAt: null } }) : null);
}

/** Idempotent; the first time stays. */
export async function publishTemplate(tenant: Tenant, id: string, now: Date = new Date()): Promise<Template> {
  const row = await getOwnTemplate(tenant, id);
  if (row.publishedAt) return row;
  return tenant.tx.template.update({ where: { id: row.id }, data: { publishedAt: now } });
}

/** First step of a deletion: nobody finds it from here on. Answers also for one already hidden. */
export async function hideTemplate(
  { tx, userId }: Tenant,
  id: string,
  now: Date = new Date(),
): Promise<Template> {
  const row = found(isUuid(id) ? await tx.template.findFirst({ where: { id, ownerId: userId } }) : null);
  return row.deletedAt ? row : tx.template.update({ where: { id }, data: { deletedAt: now } });
}

/** Last step, after the host has erased its data. Idempotent. */
export async function deleteTemplateRow({ tx, userId }: Tenant, id: string): Promise<void> {
  await tx.template.deleteMany({ where: { id, ownerId: userId } });
}

/** The user's templates whose deletion was begun and not finished. */
export function listHiddenTemplates({ tx, userId }: Tenant): Promise<Template[]> {
  return tx.template.findMany({ where: { ownerId: userId, deletedAt: { not: null } } });
}

function found(row: Template | null): Template {
  if (!row) throw new AtollError("template.not_found");
  return row;
}
