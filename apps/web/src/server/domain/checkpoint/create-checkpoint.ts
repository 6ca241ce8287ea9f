import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { PLAN_TIMES, type PlanName } from "@atoll/protocol/plans";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";

export interface NewCheckpoint {
  workspaceId: string;
  /** Chosen by the caller: repeating makes nothing twice. */
  checkpointId: string;
  name: string;
  withMemory: boolean;
}

/**
 * Only named ones count against the plan: those made by themselves are thinned out, and a safety copy must never be
 * refused. Two requests at once may both see the last free place; the limit is a courtesy, not an invariant.
 * @throws AtollError checkpoint.limit_reached
 */
export async function createCheckpoint(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "listCheckpoints" | "createCheckpoint"> },
  user: { id: string; plan: PlanName },
  { workspaceId, checkpointId, name, withMemory }: NewCheckpoint,
): Promise<CheckpointInfo> {
  await withTenant(db, user.id, (tenant) => getWorkspace(tenant, workspaceId));
  return audited({
    db,
    userId: user.id,
    event: { action: "checkpoint.create", target: workspaceId, detail: { checkpointId, withMemory } },
    async deed() {
      const { checkpoints } = await hostd.listCheckpoints(workspaceId);
      const isRepeat = checkpoints.some((known) => known.checkpointId === checkpointId);
      const used = checkpoints.filter(({ kind }) => kind === "named").length;
      const limit = PLAN_TIMES[user.plan].maxCheckpoints;
      if (!isRepeat && used >= limit)
        throw new AtollError("checkpoint.limit_reached", undefined, {
          details: { plan: user.plan, limit, used },
        });
      return hostd.createCheckpoint(workspaceId, checkpointId, { name, withMemory });
    },
  });
}
