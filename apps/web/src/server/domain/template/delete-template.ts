import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { deleteTemplateRow, hideTemplate } from "@atoll/db/templates";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { HostdClient } from "#server/hosts/hostd-client.ts";

export interface TemplateEraseContext {
  db: Db;
  hostd: Pick<HostdClient, "deleteTemplate">;
}

/** Hides it for good, then erases it. Workspaces made from it keep what they began with. */
export async function deleteTemplate(
  context: TemplateEraseContext,
  userId: string,
  id: string,
): Promise<void> {
  await withTenant(context.db, userId, async (tenant) => {
    await hideTemplate(tenant, id);
    await appendAudit(tenant, {
      actor: `user:${userId}`,
      action: "template.delete",
      target: id,
      outcome: "ok",
    });
  });
  await finishTemplateDeletion(context, userId, id);
}

/** Everything after it was hidden. Idempotent. */
export async function finishTemplateDeletion(
  { db, hostd }: TemplateEraseContext,
  userId: string,
  id: string,
): Promise<void> {
  try {
    await hostd.deleteTemplate(id);
  } catch (error) {
    // It never came to be, or is gone already.
    if (!(error instanceof AtollError) || error.code !== "template.not_found") throw error;
  }
  await withTenant(db, userId, (tenant) => deleteTemplateRow(tenant, id));
}
