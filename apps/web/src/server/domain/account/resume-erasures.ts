import { listTombstones } from "@atoll/db/tombstones";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { finishWorkspaceErasure } from "../workspace/delete-workspace.ts";
import { type AccountErasureContext, finishAccountErasure } from "./delete-account.ts";

type Context = AccountErasureContext & { hostd: Pick<HostdClient, "deleteWorkspace"> };

/** Finishes every erasure that was asked for and not completed. The first failure ends the sweep; the next one goes on. */
export async function resumeErasures(context: Context): Promise<void> {
  for (const { kind, subjectId, tenantId } of await listTombstones(context.db, { onlyPending: true })) {
    if (kind === "workspace") await finishWorkspaceErasure(context, tenantId, subjectId);
    else await finishAccountErasure(context, tenantId);
  }
}
