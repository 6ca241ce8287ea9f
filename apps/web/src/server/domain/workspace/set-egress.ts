import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { setWorkspaceEgress } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import type { HostdClient } from "#server/hosts/hostd-client.ts";

/** The row first: a machine made later takes the setting from it. */
export async function setEgress(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "update"> },
  userId: string,
  { id, egress }: { id: string; egress: EgressPreset },
): Promise<void> {
  await withTenant(db, userId, async (tenant) => {
    await setWorkspaceEgress(tenant, id, egress);
    await appendAudit(tenant, {
      actor: `user:${userId}`,
      action: "workspace.set_egress",
      target: id,
      outcome: "ok",
      detail: { egress },
    });
  });
  try {
    await hostd.update(id, { egress });
  } catch (error) {
    if (!(error instanceof AtollError) || error.code !== "workspace.not_found") throw error;
  }
}
