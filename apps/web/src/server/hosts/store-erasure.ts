import { appendAudit } from "@atoll/db/audit";
import type { Tenant } from "@atoll/db/with-tenant";
import { getWorkspace, markWorkspaceDeleted } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";

/**
 * Of what its host erased by itself, a disposable one at its deadline: hidden here as well, so that it counts to no limit,
 * and requested at its deadline. The sweep then signs its receipt. Idempotent.
 */
export async function storeErasure(
  tenant: Tenant,
  { workspaceId, sinceMs, reason }: Pick<WorkspaceStatus, "workspaceId" | "sinceMs" | "reason">,
): Promise<void> {
  const row = await getWorkspace(tenant, workspaceId).catch((error: unknown) => {
    // Somebody asked for it here, or it is finished.
    if (error instanceof AtollError && error.code === "workspace.not_found") return undefined;
    throw error;
  });
  if (row === undefined) return;
  const requestedAtMs = Math.min(row.expiresAt?.getTime() ?? sinceMs, sinceMs);
  await markWorkspaceDeleted(tenant, workspaceId, new Date(requestedAtMs));
  await appendAudit(tenant, {
    actor: "system",
    action: "workspace.delete",
    target: workspaceId,
    outcome: "ok",
    detail: { reason },
  });
}
