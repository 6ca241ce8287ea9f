import type { Db } from "@atoll/db/create-db";
import { createTemplate as insertTemplate } from "@atoll/db/templates";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";
import { type TemplateView, templateView } from "./template-view.ts";

export interface NewTemplateInput {
  /** Chosen by the caller: repeating makes nothing twice. */
  id: string;
  name: string;
  workspaceId: string;
  checkpointId: string;
}

/**
 * A draft that only its owner may use. The row first, so that a draft on the host is never nobody's; one that the host
 * refused stays listed without data, to be tried again or deleted.
 */
export async function createTemplate(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "createTemplate"> },
  userId: string,
  { id, name, workspaceId, checkpointId }: NewTemplateInput,
): Promise<TemplateView> {
  const row = await withTenant(db, userId, async (tenant) => {
    const { image, cpus, memoryMb, diskMb } = await getWorkspace(tenant, workspaceId);
    return insertTemplate(tenant, {
      id,
      name,
      sourceWorkspaceId: workspaceId,
      checkpointId,
      image,
      cpus,
      memoryMb,
      diskMb,
    });
  });
  const info = await audited({
    db,
    userId,
    event: { action: "template.create", target: id, detail: { workspaceId, checkpointId } },
    deed: () =>
      hostd.createTemplate(id, {
        ownerId: userId,
        workspaceId: row.sourceWorkspaceId,
        checkpointId: row.checkpointId,
      }),
  });
  return templateView(row, info, userId);
}
