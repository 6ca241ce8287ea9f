import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { createWorkspace as insertWorkspace } from "@atoll/db/create-workspace";
import type { Workspace } from "@atoll/db/generated/client";
import { withTenant } from "@atoll/db/with-tenant";
import type { WorkspaceOrigin } from "@atoll/protocol/hostd-api";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import { type StartContext, startWorkspace } from "./start-workspace.ts";

/** The only image of this release. */
export const BASE_IMAGE = "base";

export interface NewWorkspaceInput {
  /** Chosen by the caller, so that repeating the request makes nothing twice. */
  id: string;
  name: string;
  cpus: number;
  memoryMb: number;
  diskMb: number;
  egress: EgressPreset;
  /** Default: the base image. */
  image?: string | undefined;
  /** Whether the user may read it is checked by the caller. */
  origin?: WorkspaceOrigin | undefined;
  /** Of a disposable workspace: when it is erased. */
  expiresAt?: Date | undefined;
}

export interface CreateOutcome {
  workspace: Workspace;
  /** Why the machine was not started; the row stays and can be started again or deleted. */
  startError: unknown;
}

/** @throws AtollError plan.workspace_limit, plan.size_limit or workspace.deleted; then nothing was made. */
export async function createWorkspace(
  context: StartContext & { db: Db },
  userId: string,
  input: NewWorkspaceInput,
): Promise<CreateOutcome> {
  const workspace = await withTenant(context.db, userId, async (tenant) => {
    const row = await insertWorkspace(tenant, { ...input, image: input.image ?? BASE_IMAGE });
    const { cpus, memoryMb, diskMb } = row;
    await appendAudit(tenant, {
      actor: `user:${userId}`,
      action: "workspace.create",
      target: row.id,
      outcome: "ok",
      detail: { cpus, memoryMb, diskMb, ...(input.origin ? { origin: input.origin } : {}) },
    });
    return row;
  });
  try {
    await startWorkspace(context, workspace);
    return { workspace, startError: undefined };
  } catch (startError) {
    return { workspace, startError };
  }
}
