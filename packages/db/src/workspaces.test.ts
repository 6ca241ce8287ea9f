import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Db } from "./create-db.ts";
import { createWorkspace, type NewWorkspace } from "./create-workspace.ts";
import { findReceiptById, listReceipts, saveReceipt } from "./receipts.ts";
import { setPlan } from "./set-plan.ts";
import { type TemporaryDatabase, temporaryDatabase } from "./testing/temporary-database.ts";
import { completeErasure, getTombstone, listTombstones, requestErasure } from "./tombstones.ts";
import { createUser, deleteUser } from "./users.ts";
import { withTenant } from "./with-tenant.ts";
import {
  deleteWorkspaceRow,
  getWorkspace,
  getWorkspaceBySlug,
  listWorkspaces,
  listWorkspacesToErase,
  markWorkspaceDeleted,
  recordWorkspaceState,
  renameWorkspace,
} from "./workspaces.ts";

let database: TemporaryDatabase;
let db: Db;

beforeAll(async () => {
  database = await temporaryDatabase();
  db = database.db;
});

afterAll(() => database[Symbol.asyncDispose]());

const newUser = () =>
  createUser(db, { email: `${randomUUID()}@example.test`, name: "Ada", passwordHash: null });
const create = (userId: string, extra: Partial<NewWorkspace> = {}) =>
  withTenant(db, userId, (tenant) => createWorkspace(tenant, { name: "w", image: "base", ...extra }));

describe("creating a workspace", () => {
  it("is held to the plan also when many requests race", async () => {
    const user = await newUser();
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => create(user.id)));
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused).toHaveLength(8);
    expect(refused[0]?.reason).toMatchObject({
      code: "plan.workspace_limit",
      details: { plan: "free", limit: 2, used: 2 },
    });
    expect(await withTenant(db, user.id, listWorkspaces)).toHaveLength(2);
  });

  it("gives a repeated request the row of the first", async () => {
    const user = await newUser();
    const id = randomUUID();
    const rows = await Promise.all([
      create(user.id, { id }),
      create(user.id, { id }),
      create(user.id, { id }),
    ]);
    expect(new Set(rows.map((row) => row.slug)).size).toBe(1);
  });

  it("refuses a size above the plan, until an operator raises the plan", async () => {
    const user = await newUser();
    await expect(create(user.id, { cpus: 2 })).rejects.toMatchObject({
      code: "plan.size_limit",
      details: { plan: "free", size: "cpus", limit: 1 },
    });
    expect(await setPlan(database.ownerUrl, user.email.toUpperCase(), "pro")).toBe(true);
    expect(await create(user.id, { cpus: 2 })).toMatchObject({ cpus: 2, memoryMb: 2048, diskMb: 10_240 });
    expect(await setPlan(database.ownerUrl, "nobody@example.test", "pro")).toBe(false);
  });

  it("refuses a size that no plan has, but for what begins where such a size is", async () => {
    const user = await newUser();
    for (const odd of [{ diskMb: 1024 }, { memoryMb: 511 }]) {
      await expect(create(user.id, odd)).rejects.toMatchObject({ code: "plan.size_unknown" });
    }
    const origin = { kind: "workspace", workspaceId: randomUUID() } as const;
    expect(await create(user.id, { diskMb: 1024, origin })).toMatchObject({ diskMb: 1024 });
  });

  it("answers to an id that is somebody else's as to none", async () => {
    const [ada, bob] = await Promise.all([newUser(), newUser()]);
    const { id } = await create(ada.id);
    const refusal = { code: "workspace.not_found", details: undefined };
    await expect(create(bob.id, { id })).rejects.toMatchObject(refusal);
    await withTenant(db, ada.id, (tenant) => markWorkspaceDeleted(tenant, id));
    await expect(create(bob.id, { id })).rejects.toMatchObject(refusal);
    expect(await withTenant(db, bob.id, listWorkspaces)).toEqual([]);
  });

  it("counts no longer what is being deleted", async () => {
    const user = await newUser();
    const first = await create(user.id);
    await create(user.id);
    await withTenant(db, user.id, (tenant) => markWorkspaceDeleted(tenant, first.id));
    await create(user.id);
    await expect(create(user.id, { id: first.id })).rejects.toMatchObject({ code: "workspace.deleted" });
  });
});

describe("finding a workspace", () => {
  it("looks the same for another user's, a malformed and an unknown one", async () => {
    const owner = await newUser();
    const other = await newUser();
    const { id, slug } = await create(owner.id);
    expect(await withTenant(db, owner.id, (tenant) => getWorkspaceBySlug(tenant, slug))).toMatchObject({
      id,
    });
    for (const attempt of [id, randomUUID(), "../x", ""]) {
      const found = withTenant(db, other.id, (tenant) => getWorkspace(tenant, attempt));
      await expect(found).rejects.toMatchObject({ code: "workspace.not_found" });
      const renamed = withTenant(db, other.id, (tenant) => renameWorkspace(tenant, attempt, "mine"));
      await expect(renamed).rejects.toMatchObject({ code: "workspace.not_found" });
    }
    await expect(withTenant(db, other.id, (t) => getWorkspaceBySlug(t, slug))).rejects.toMatchObject({
      code: "workspace.not_found",
    });
  });

  it("keeps the newest state when reports arrive out of order", async () => {
    const user = await newUser();
    const { id } = await create(user.id);
    const start = Date.now();
    const report = (generation: number, laterMs: number, state: string) =>
      withTenant(db, user.id, (tenant) =>
        recordWorkspaceState(tenant, id, {
          state,
          reason: null,
          since: new Date(start + laterMs),
          generation,
        }),
      );
    const accepted = [
      await report(2, 1_000, "resuming"),
      await report(2, 2_000, "running"),
      await report(2, 1_500, "resuming"),
      await report(1, 3_000, "paused"),
    ];
    expect(accepted).toEqual([true, true, false, false]);
    expect(await withTenant(db, user.id, (tenant) => getWorkspace(tenant, id))).toMatchObject({
      state: "running",
    });
  });
});

describe("erasure", () => {
  it("hides a workspace at once and leaves a tombstone that survives row and account", async () => {
    const user = await newUser();
    const { id } = await create(user.id);
    await withTenant(db, user.id, async (tenant) => {
      await markWorkspaceDeleted(tenant, id);
      await markWorkspaceDeleted(tenant, id);
    });
    expect(await withTenant(db, user.id, listWorkspaces)).toEqual([]);
    expect(await withTenant(db, user.id, listWorkspacesToErase)).toMatchObject([{ id, state: "deleting" }]);
    expect(await listTombstones(db, { onlyPending: true })).toContainEqual(
      expect.objectContaining({ kind: "workspace", subjectId: id, tenantId: user.id, completedAt: null }),
    );
    await withTenant(db, user.id, async (tenant) => {
      await deleteWorkspaceRow(tenant, id);
      await completeErasure(tenant, "workspace", id);
      await requestErasure(tenant, "account", user.id);
      await deleteUser(tenant);
      await completeErasure(tenant, "account", user.id);
    });
    const pending = await listTombstones(db, { onlyPending: true });
    expect(pending.filter((tombstone) => tombstone.tenantId === user.id)).toEqual([]);
    const all = await listTombstones(db, { onlyPending: false });
    expect(all.filter((tombstone) => tombstone.tenantId === user.id)).toHaveLength(2);
  });

  it("takes sign-ins, links and workspaces with the account", async () => {
    const user = await newUser();
    await create(user.id);
    await withTenant(db, user.id, deleteUser);
    const client = new pg.Client({ connectionString: database.ownerUrl });
    await client.connect();
    const { rows } = await client.query("SELECT count(*)::int AS left FROM workspaces WHERE owner_id = $1", [
      user.id,
    ]);
    await client.end();
    expect(rows).toEqual([{ left: 0 }]);
  });

  it("refuses a tombstone for somebody else's account", async () => {
    const user = await newUser();
    const other = await newUser();
    await expect(
      withTenant(db, user.id, (tenant) => requestErasure(tenant, "account", other.id)),
    ).rejects.toThrow(/tombstones_own_account/);
    expect(await withTenant(db, other.id, (tenant) => getTombstone(tenant, "account", other.id))).toBeNull();
  });

  it("keeps a receipt byte for byte, findable by its id alone once the account is gone", async () => {
    const user = await newUser();
    const id = randomUUID();
    const json = '{ "b":1,\n"a": 2 }';
    await withTenant(db, user.id, async (tenant) => {
      await saveReceipt(tenant, id, json);
      await saveReceipt(tenant, id, "overwritten");
      await deleteUser(tenant);
    });
    expect(await findReceiptById(db, id)).toMatchObject({ json });
    expect(await withTenant(db, user.id, listReceipts)).toMatchObject([{ id, json }]);
    expect(await findReceiptById(db, randomUUID())).toBeNull();
    expect(await findReceiptById(db, "../../etc/passwd")).toBeNull();
    const stranger = await newUser();
    expect(await withTenant(db, stranger.id, listReceipts)).toEqual([]);
  });

  it("cannot change the audit log, not even as the owner of the table", async () => {
    const user = await newUser();
    const client = new pg.Client({ connectionString: database.ownerUrl });
    await client.connect();
    await client.query(
      "INSERT INTO audit_events (id, tenant_id, actor, action, outcome) VALUES ($1, $2, 'a', 'b', 'ok')",
      [randomUUID(), user.id],
    );
    try {
      for (const statement of [
        "UPDATE audit_events SET actor = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
      ]) {
        await expect(client.query(statement)).rejects.toThrow(/append-only/);
      }
    } finally {
      await client.end();
    }
  });
});
