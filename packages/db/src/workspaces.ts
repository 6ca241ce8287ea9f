import { AtollError } from "@atoll/protocol/atoll-error";
import type { EgressPreset, Workspace } from "./generated/client.ts";
import { requestErasure } from "./tombstones.ts";
import { isUuid, type Tenant } from "./with-tenant.ts";

export interface StateReport {
  state: string;
  reason: string | null;
  since: Date;
  /** hostd's count of this workspace's operations; several states share one. */
  generation: number;
}

/** Newest first; without those being deleted. */
export function listWorkspaces({ tx, userId }: Tenant): Promise<Workspace[]> {
  return tx.workspace.findMany({
    where: { ownerId: userId, deletedAt: null },
    orderBy: { createdAt: "desc" },
  });
}

/** Including those being deleted: what an account's erasure has to walk through. */
export function listWorkspacesToErase({ tx, userId }: Tenant): Promise<Workspace[]> {
  return tx.workspace.findMany({ where: { ownerId: userId }, orderBy: { createdAt: "asc" } });
}

/** Throws `workspace.not_found` also for another user's and a malformed id: they must look the same. */
export async function getWorkspace({ tx, userId }: Tenant, id: string): Promise<Workspace> {
  const row = isUuid(id)
    ? await tx.workspace.findFirst({ where: { id, ownerId: userId, deletedAt: null } })
    : null;
  if (!row) throw new AtollError("workspace.not_found");
  return row;
}

export async function getWorkspaceBySlug({ tx, userId }: Tenant, slug: string): Promise<Workspace> {
  const row = await tx.workspace.findFirst({ where: { slug, ownerId: userId, deletedAt: null } });
  if (!row) throw new AtollError("workspace.not_found");
  return row;
}

export function renameWorkspace(tenant: Tenant, id: string, name: string): Promise<Workspace> {
  return updateLive(tenant, id, { name: name.trim() });
}

export function setWorkspaceEgress(tenant: Tenant, id: string, egress: EgressPreset): Promise<Workspace> {
  return updateLive(tenant, id, { egress });
}

export function touchWorkspace(tenant: Tenant, id: string, now: Date = new Date()): Promise<Workspace> {
  return updateLive(tenant, id, { lastActiveAt: now });
}

/** False when a newer report is already stored or the row is gone: reports may arrive late and twice. */
export async function recordWorkspaceState(
  { tx, userId }: Tenant,
  id: string,
  { state, reason, since, generation }: StateReport,
): Promise<boolean> {
  const { count } = await tx.workspace.updateMany({
    where: {
      id,
      ownerId: userId,
      OR: [{ generation: { lt: generation } }, { generation, stateSince: { lte: since } }],
    },
    data: { state, stateReason: reason, stateSince: since, generation },
  });
  return count === 1;
}

/**
 * First step of a deletion: from here on nobody finds the workspace, and its tombstone makes sure that erasing
 * is finished after a crash. Returns the row; idempotent while the row exists, then `workspace.not_found`.
 */
export async function markWorkspaceDeleted(
  tenant: Tenant,
  id: string,
  now: Date = new Date(),
): Promise<Workspace> {
  const { tx, userId } = tenant;
  const row = isUuid(id) ? await tx.workspace.findFirst({ where: { id, ownerId: userId } }) : null;
  if (!row) throw new AtollError("workspace.not_found");
  await requestErasure(tenant, "workspace", id, now);
  if (row.deletedAt) return row;
  return tx.workspace.update({ where: { id }, data: { deletedAt: now, state: "deleting", stateSince: now } });
}

/** Last step of a deletion. Idempotent. */
export async function deleteWorkspaceRow({ tx, userId }: Tenant, id: string): Promise<void> {
  await tx.workspace.deleteMany({ where: { id, ownerId: userId } });
}

async function updateLive(
  { tx, userId }: Tenant,
  id: string,
  data: { name?: string; egress?: EgressPreset; lastActiveAt?: Date },
): Promise<Workspace> {
  const rows = isUuid(id)
    ? await tx.workspace.updateManyAndReturn({ where: { id, ownerId: userId, deletedAt: null }, data })
    : [];
  const row = rows[0];
  if (!row) throw new AtollError("workspace.not_found");
  return row;
}
