import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceOrigin } from "@atoll/protocol/hostd-api";
import { isPlanSize, PLANS } from "@atoll/protocol/plans";
import type { EgressPreset, Plan, Workspace } from "./generated/client.ts";
import { isUniqueViolation } from "./is-unique-violation.ts";
import { newSlug } from "./new-slug.ts";
import type { Tenant } from "./with-tenant.ts";

export interface NewWorkspace {
  /** Chosen by the caller who wants to repeat a request safely: a second create with it returns the first row. */
  id?: string | undefined;
  name: string;
  image: string;
  /** Default: everything the plan allows. */
  cpus?: number | undefined;
  memoryMb?: number | undefined;
  diskMb?: number | undefined;
  egress?: EgressPreset | undefined;
  /** The caller has checked that the user may read it. */
  origin?: WorkspaceOrigin | undefined;
  expiresAt?: Date | undefined;
}

/**
 * Checks the plan and inserts the row. The user's row is locked first, so that two creates at once are counted
 * one after the other. A workspace whose deletion has begun no longer counts.
 * Throws `plan.workspace_limit` or `plan.size_limit` with the plan's name in the details, or `plan.size_unknown`: what
 * begins anew has the size of a plan, what begins elsewhere the size it had there.
 */
export async function createWorkspace({ tx, userId }: Tenant, wanted: NewWorkspace): Promise<Workspace> {
  const plan = await lockPlan(tx, userId);
  const limits = PLANS[plan];
  const id = wanted.id ?? randomUUID();
  const earlier = await tx.workspace.findFirst({ where: { id, ownerId: userId } });
  if (earlier?.deletedAt) throw new AtollError("workspace.deleted");
  if (earlier) return earlier;

  const used = await tx.workspace.count({ where: { ownerId: userId, deletedAt: null } });
  if (used >= limits.maxWorkspaces) {
    throw new AtollError("plan.workspace_limit", undefined, {
      details: { plan, limit: limits.maxWorkspaces, used },
    });
  }
  const size = {
    cpus: wanted.cpus ?? limits.cpus,
    memoryMb: wanted.memoryMb ?? limits.memoryMb,
    diskMb: wanted.diskMb ?? limits.diskMb,
  };
  for (const name of ["cpus", "memoryMb", "diskMb"] as const) {
    if (size[name] > limits[name]) {
      throw new AtollError("plan.size_limit", undefined, {
        details: { plan, size: name, limit: limits[name] },
      });
    }
  }
  if (wanted.origin === undefined && !isPlanSize(size)) throw new AtollError("plan.size_unknown");
  const data = {
    id,
    ownerId: userId,
    slug: newSlug(),
    name: wanted.name.trim(),
    image: wanted.image,
    ...size,
    egress: wanted.egress ?? "packages",
    ...(wanted.origin ? { origin: wanted.origin } : {}),
    expiresAt: wanted.expiresAt ?? null,
  } as const;
  return tx.workspace.create({ data }).catch((error: unknown) => {
    // The id is another tenant's row, which this one cannot see: the same answer as everywhere else.
    throw isUniqueViolation(error)
      ? new AtollError("workspace.not_found", undefined, { cause: error })
      : error;
  });
}

async function lockPlan(tx: Tenant["tx"], userId: string): Promise<Plan> {
  const rows = await tx.$queryRaw<Array<{ plan: Plan }>>`
    SELECT plan FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`;
  const row = rows[0];
  if (!row) throw new AtollError("auth.required", "the account does not exist any more");
  return row.plan;
}
