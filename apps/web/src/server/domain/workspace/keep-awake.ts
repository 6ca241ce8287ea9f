import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { touchWorkspace } from "@atoll/db/workspaces";
import { PLAN_TIMES, type PlanName } from "@atoll/protocol/plans";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";

/** Answers what was granted: what was asked for, and at most what the plan allows. 0 gives the lease back. */
export async function keepAwake(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "keepAwake"> },
  user: { id: string; plan: PlanName },
  { id, seconds }: { id: string; seconds: number },
): Promise<{ seconds: number }> {
  await withTenant(db, user.id, (tenant) => touchWorkspace(tenant, id));
  const granted = Math.min(seconds, PLAN_TIMES[user.plan].keepAwakeMaxSeconds);
  await audited({
    db,
    userId: user.id,
    event: { action: "workspace.keep_awake", target: id, detail: { seconds: granted } },
    deed: () => hostd.keepAwake(id, granted),
  });
  return { seconds: granted };
}
