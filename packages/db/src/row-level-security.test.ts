import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDb } from "./create-db.ts";
import { createWorkspace } from "./create-workspace.ts";
import { type TemporaryDatabase, temporaryDatabase } from "./testing/temporary-database.ts";
import { createUser, type PublicUser } from "./users.ts";
import { withTenant } from "./with-tenant.ts";
import { listWorkspaces } from "./workspaces.ts";

let database: TemporaryDatabase;
let ada: PublicUser;
let bob: PublicUser;
let adasId: string;

beforeAll(async () => {
  database = await temporaryDatabase();
  const { db } = database;
  ada = await createUser(db, { email: "ada@example.test", name: "Ada", passwordHash: null });
  bob = await createUser(db, { email: "bob@example.test", name: "Bob", passwordHash: null });
  adasId = (
    await withTenant(db, ada.id, (tenant) => createWorkspace(tenant, { name: "hers", image: "base" }))
  ).id;
  await withTenant(db, bob.id, (tenant) => createWorkspace(tenant, { name: "his", image: "base" }));
});

afterAll(() => database[Symbol.asyncDispose]());

describe("row-level security", () => {
  it("shows nothing without a tenant, in any table", async () => {
    const { db } = database;
    const counts = [
      await db.user.count(),
      await db.account.count(),
      await db.authSession.count(),
      await db.workspace.count(),
      await db.tombstone.count(),
      await db.erasureReceipt.count(),
      await db.auditEvent.count(),
      await db.template.count(),
    ];
    expect(new Set(counts)).toEqual(new Set([0]));
  });

  it("hides another tenant's rows also from queries without any condition", async () => {
    const seen = await withTenant(database.db, ada.id, ({ tx }) => tx.workspace.findMany());
    expect(seen.map((row) => row.ownerId)).toEqual([ada.id]);
  });

  it("refuses to insert a row for another tenant", async () => {
    const attempt = withTenant(database.db, ada.id, ({ tx }) =>
      tx.authSession.create({ data: { id: randomUUID(), userId: bob.id, expiresAt: new Date() } }),
    );
    await expect(attempt).rejects.toThrow(/row-level security/);
  });

  it("changes and deletes nothing of another tenant", async () => {
    const counts = await withTenant(database.db, bob.id, async ({ tx }) => [
      (await tx.workspace.updateMany({ where: { id: adasId }, data: { name: "taken" } })).count,
      (await tx.workspace.deleteMany({ where: { id: adasId } })).count,
    ]);
    expect(counts).toEqual([0, 0]);
  });

  it("refuses to give a row away", async () => {
    const attempt = withTenant(
      database.db,
      ada.id,
      ({ tx }) => tx.$executeRaw`UPDATE workspaces SET owner_id = ${bob.id}::uuid WHERE id = ${adasId}::uuid`,
    );
    await expect(attempt).rejects.toThrow(/permission denied/);
  });

  it("refuses plan and role changes by the app's role, at sign-up and later", async () => {
    const id = randomUUID();
    const data = { id, email: `${id}@example.test`, name: "x", role: "operator" as const };
    await expect(withTenant(database.db, id, ({ tx }) => tx.user.create({ data }))).rejects.toThrow(
      /row-level security/,
    );
    await expect(
      withTenant(database.db, ada.id, ({ tx }) =>
        tx.user.update({ where: { id: ada.id }, data: { plan: "enterprise" } }),
      ),
    ).rejects.toThrow(/permission denied|denied access/i);
  });

  it("leaves no tenant on a pooled connection", async () => {
    const db = createDb({ url: database.appUrl, maxConnections: 1 });
    try {
      expect(await withTenant(db, ada.id, (tenant) => listWorkspaces(tenant))).toHaveLength(1);
      expect(await db.workspace.count()).toBe(0);
      await expect(withTenant(db, ada.id, () => Promise.reject(new Error("boom")))).rejects.toThrow("boom");
      expect(await db.workspace.count()).toBe(0);
    } finally {
      await db.$disconnect();
    }
  });

  it("never mixes 200 interleaved transactions of two tenants", async () => {
    const owners = Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? ada.id : bob.id));
    const seen = await Promise.all(
      owners.map((owner) =>
        withTenant(database.db, owner, async ({ tx }) => {
          const first = await tx.workspace.findMany({ select: { ownerId: true } });
          await tx.$executeRaw`SELECT pg_sleep(0.001)`;
          const second = await tx.workspace.findMany({ select: { ownerId: true } });
          return [...first, ...second].map((row) => row.ownerId);
        }),
      ),
    );
    expect(seen).toEqual(owners.map((owner) => [owner, owner]));
  });

  it("binds a tenant id that is not a UUID to nothing", async () => {
    for (const hostile of ["", "' OR true --", ada.id.toUpperCase(), `${ada.id}\0`]) {
      await expect(withTenant(database.db, hostile, async () => 1)).rejects.toMatchObject({
        code: "request.invalid",
      });
    }
  });

  it("covers every table and gives the app's role nothing that would bypass it", async () => {
    const client = new pg.Client({ connectionString: database.ownerUrl });
    await client.connect();
    try {
      const { rows: tables } = await client.query(
        `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
           AND NOT (relrowsecurity AND relforcerowsecurity)`,
      );
      const { rows: roles } = await client.query(
        `SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles
         WHERE rolname IN ('atoll_app', 'atoll_auth') ORDER BY rolname`,
      );
      const { rows: owned } = await client.query(
        `SELECT count(*)::int AS tables FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
         WHERE rolname IN ('atoll_app', 'atoll_auth')`,
      );
      const weak = { rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false };
      expect(tables).toEqual([]);
      expect(roles).toEqual([
        { rolname: "atoll_app", ...weak },
        { rolname: "atoll_auth", ...weak },
      ]);
      expect(owned).toEqual([{ tables: 0 }]);
    } finally {
      await client.end();
    }
  });
});
