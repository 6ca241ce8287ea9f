import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { touchWorkspace } from "@atoll/db/workspaces";
import type { PlanName } from "@atoll/protocol/plans";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";
import { planSettings } from "./plan-settings.ts";

/** Answers what was granted, which is at most `maxSeconds`, the plan's bound. 0 gives the lease back. */
export async function keepAwake(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "update" | "keepAwake"> },
  user: { id: string; plan: PlanName },
  { id, seconds }: { id: string; seconds: number },
): Promise<{ seconds: number; maxSeconds: number }> {
  await withTenant(db, user.id, (tenant) => touchWorkspace(tenant, id));
  const settings = planSettings(user.plan);
  const maxSeconds = settings.keepAwakeMaxSeconds;
  const granted = Math.min(seconds, maxSeconds);
  await audited({
    db,
    userId: user.id,
    event: { action: "workspace.keep_awake", target: id, detail: { seconds: granted } },
    async deed() {
      // The plan may have changed since the machine was made; its host keeps to what it knows.
      await hostd.update(id, settings);
      await hostd.keepAwake(id, granted);
    },
  });
  return { seconds: granted, maxSeconds };
}
