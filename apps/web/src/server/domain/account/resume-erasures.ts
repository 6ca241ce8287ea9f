import { listTombstones } from "@atoll/db/tombstones";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { finishWorkspaceErasure } from "../workspace/delete-workspace.ts";
import { type AccountErasureContext, finishAccountErasure } from "./delete-account.ts";

export type SweepContext = AccountErasureContext & { hostd: Pick<HostdClient, "deleteWorkspace"> };

/**
 * Finishes every erasure that was asked for and not completed. One that fails does not keep the others waiting.
 * @throws AggregateError when some failed; the next sweep tries them again
 */
export async function resumeErasures(context: SweepContext): Promise<void> {
  const failures: unknown[] = [];
  const pending = await listTombstones(context.db, { onlyPending: true });
  // An account's erasure covers its workspaces: they are first only when they were asked for on their own.
  for (const { kind, subjectId, tenantId } of pending) {
    try {
      if (kind === "workspace") await finishWorkspaceErasure(context, tenantId, subjectId);
      else await finishAccountErasure(context, tenantId);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} erasures wait`);
}
