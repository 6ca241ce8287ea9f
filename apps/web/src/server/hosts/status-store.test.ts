import { randomUUID } from "node:crypto";
import { createWorkspace } from "@atoll/db/create-workspace";
import { findReceiptById } from "@atoll/db/receipts";
import { getTombstone } from "@atoll/db/tombstones";
import { createUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { getWorkspace, listWorkspaces } from "@atoll/db/workspaces";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { receiptFile } from "@atoll/receipt/erasure-receipt";
import { expect, it } from "vitest";
import { databaseAndIssuer } from "#server/testing/database-and-issuer.ts";
import { resumeErasures } from "../domain/account/resume-erasures.ts";
import { StatusStore } from "./status-store.ts";

const suite = databaseAndIssuer();

const DEADLINE_MS = Date.parse("2026-01-01T12:00:00Z");

async function disposable() {
  const { db } = suite.database;
  const { id: ownerId } = await createUser(db, {
    ...{ email: `${randomUUID()}@people.example`, name: "Ada", passwordHash: null },
  });
  const make = () =>
    withTenant(db, ownerId, (tenant) =>
      createWorkspace(tenant, { name: "Gone soon", image: "base", expiresAt: new Date(DEADLINE_MS) }),
    );
  const { id: workspaceId } = await make();
  const status = (change: Partial<WorkspaceStatus>): WorkspaceStatus => ({
    ...{ workspaceId, ownerId, state: "running", reason: "requested", sinceMs: DEADLINE_MS - 1000 },
    ...{ generation: 1, sessionCount: 0, isolation: "emulated", egress: "off", ...change },
  });
  return { db, ownerId, workspaceId, status, make, statuses: new StatusStore(db) };
}

it("keeps the newest state for lists", async () => {
  const { db, ownerId, workspaceId, status, statuses } = await disposable();
  for (const generation of [1, 2, 3]) statuses.store(status({ generation, state: "paused", reason: "idle" }));
  await statuses.settled();
  const stored = await withTenant(db, ownerId, (tenant) => getWorkspace(tenant, workspaceId));
  expect(stored).toMatchObject({ state: "paused", stateReason: "idle", generation: 3, deletedAt: null });
});

it("writes nothing for what is no change of state: sessions, progress, work", async () => {
  const { db, ownerId, workspaceId, status, statuses } = await disposable();
  // The transaction that wrote the row last.
  const writtenBy = async (change: Partial<WorkspaceStatus>) => {
    statuses.store(status(change));
    await statuses.settled();
    const rows = await withTenant(
      db,
      ownerId,
      ({ tx }) => tx.$queryRaw<{ xmin: string }[]>`
        SELECT xmin::text FROM workspaces WHERE id = ${workspaceId}::uuid`,
    );
    return rows[0]?.xmin;
  };
  const first = await writtenBy({});
  expect(first).toMatch(/^\d+$/);
  expect(await writtenBy({ sessionCount: 2 })).toBe(first);
  const paused = await writtenBy({ state: "paused", reason: "idle", generation: 2 });
  expect(paused).not.toBe(first);
  expect(await writtenBy({ generation: 3 })).not.toBe(paused);
});

it("what its host erased at its deadline counts to no limit any more, and gets its receipt", async () => {
  const { db, ownerId, workspaceId, status, make, statuses } = await disposable();
  await make();
  await expect(make()).rejects.toMatchObject({ code: "plan.workspace_limit" });
  const erased = status({ state: "erased", reason: "deadline", sinceMs: DEADLINE_MS + 5000 });
  // As often as it is told, as after each start of web.
  for (let told = 0; told < 3; told += 1) statuses.store(erased);
  await statuses.settled();
  const tombstone = () => withTenant(db, ownerId, (tenant) => getTombstone(tenant, "workspace", workspaceId));
  expect(await tombstone()).toMatchObject({ requestedAt: new Date(DEADLINE_MS), completedAt: null });
  expect(await withTenant(db, ownerId, listWorkspaces)).toHaveLength(1);
  await make();

  const erasure = {
    ...{ workspaceId, keyCommitment: "a".repeat(64), requestedAtMs: DEADLINE_MS },
    ...{ keyDestroyedAtMs: DEADLINE_MS + 4000, dataUnlinkedAtMs: DEADLINE_MS + 5000 },
  };
  const answer = async () => ({ erasures: [erasure], ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null });
  const hostd = { deleteWorkspace: answer, deleteOwner: answer, revokeSessions: async () => {} };
  await resumeErasures({ db, hostd, receipts: suite.issuer.receipts });
  const { receiptId } = (await tombstone()) ?? {};
  const text = (await findReceiptById(db, receiptId ?? ""))?.json ?? "";
  expect(receiptFile.parse(JSON.parse(text)).receipt).toMatchObject({
    ...{ scope: "workspace", counts: { workspaces: 1, keys: 1 }, requestedAtMs: DEADLINE_MS },
    keysDestroyedAtMs: DEADLINE_MS + 4000,
  });
  statuses.store(erased);
  await statuses.settled();
  await resumeErasures({ db, hostd, receipts: suite.issuer.receipts });
  expect(await tombstone()).toMatchObject({ receiptId, completedAt: expect.any(Date) });
});
