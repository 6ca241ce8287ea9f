import type { Db } from "@atoll/db/create-db";
import { getUsableTemplate } from "@atoll/db/templates";
import { type Tenant, withTenant } from "@atoll/db/with-tenant";
import { getWorkspace } from "@atoll/db/workspaces";
import type { WorkspaceOrigin } from "@atoll/protocol/hostd-api";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import { type CreateOutcome, createWorkspace } from "./create-workspace.ts";
import type { StartContext } from "./start-workspace.ts";

export interface ForkInput {
  /** Of the new workspace; chosen by the caller, so that repeating the request makes nothing twice. */
  id: string;
  name: string;
  origin: WorkspaceOrigin;
  /** Default: the source's own, and for a template package sources. */
  egress?: EgressPreset | undefined;
  /** Of a disposable one: when it is erased. */
  expiresAt?: Date | undefined;
}

/**
 * A workspace that begins where another one is, was, or where a template begins. It counts against the plan like any
 * other. Only one's own workspaces and checkpoints, one's own templates and published ones.
 * @throws AtollError workspace.not_found, template.not_found, plan.workspace_limit or plan.size_limit
 */
export async function forkWorkspace(
  context: StartContext & { db: Db },
  userId: string,
  { egress, ...input }: ForkInput,
): Promise<CreateOutcome> {
  const source = await withTenant(context.db, userId, (tenant) => sourceOf(tenant, input.origin));
  return createWorkspace(context, userId, { ...source, ...input, ...(egress ? { egress } : {}) });
}

/** Memory only fits a machine of its own size, so a fork is as large as its source. */
async function sourceOf(tenant: Tenant, origin: WorkspaceOrigin) {
  const row =
    origin.kind === "template"
      ? { ...(await getUsableTemplate(tenant, origin.templateId)), egress: "packages" as const }
      : await getWorkspace(tenant, origin.workspaceId);
  const { image, cpus, memoryMb, diskMb, egress } = row;
  return { image, cpus, memoryMb, diskMb, egress };
}
