import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import { PLAN_TIMES, type PlanName } from "@atoll/protocol/plans";
import type { CheckpointList, HostdClient } from "#server/hosts/hostd-client.ts";

export interface Timeline extends CheckpointList {
  /** How many named ones the plan keeps. */
  maxNamed: number;
}

const NONE: CheckpointList = {
  checkpoints: [],
  currentParentId: null,
  usage: { layerBytes: 0, snapshotBytes: 0, layerCount: 0 },
};

/** A workspace whose machine was never made has an empty timeline. */
export async function listCheckpoints(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "listCheckpoints"> },
  user: { id: string; plan: PlanName },
  workspaceId: string,
): Promise<Timeline> {
  const row = await withTenant(db, user.id, (tenant) => getWorkspace(tenant, workspaceId));
  const { maxCheckpoints: maxNamed } = PLAN_TIMES[user.plan];
  try {
    return { ...(await hostd.listCheckpoints(row.id)), maxNamed };
  } catch (error) {
    if (error instanceof AtollError && error.code === "workspace.not_found") return { ...NONE, maxNamed };
    throw error;
  }
}
