import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import type { PlanName } from "@atoll/protocol/plans";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";
import { planSettings } from "../workspace/plan-settings.ts";

export interface NewCheckpoint {
  workspaceId: string;
  /** Chosen by the caller: repeating makes nothing twice. */
  checkpointId: string;
  name: string;
  withMemory: boolean;
}

/** @throws AtollError checkpoint.limit_reached when the plan's number of named ones is reached */
export async function createCheckpoint(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "update" | "createCheckpoint"> },
  user: { id: string; plan: PlanName },
  { workspaceId, checkpointId, name, withMemory }: NewCheckpoint,
): Promise<CheckpointInfo> {
  await withTenant(db, user.id, (tenant) => getWorkspace(tenant, workspaceId));
  return audited({
    db,
    userId: user.id,
    event: { action: "checkpoint.create", target: workspaceId, detail: { checkpointId, withMemory } },
    async deed() {
      // The plan may have changed since the machine was made; its host keeps count.
      await hostd.update(workspaceId, planSettings(user.plan));
      return hostd.createCheckpoint(workspaceId, checkpointId, { name, withMemory });
    },
  });
}
