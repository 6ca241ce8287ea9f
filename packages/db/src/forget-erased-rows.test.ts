import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { createDb, type Db } from "./create-db.ts";
import { forgetErasedRows } from "./forget-erased-rows.ts";
import { type TemporaryDatabase, temporaryDatabase } from "./testing/temporary-database.ts";
import { completeErasure, reopenErasure, requestErasure } from "./tombstones.ts";
import { createUser, deleteUser } from "./users.ts";
import { type Tenant, withTenant } from "./with-tenant.ts";

/** What it does to a server of ours is tried with everything else that erasing an account leaves, by the web app. */
let database: TemporaryDatabase;
let owner: Db;
beforeAll(async () => {
  database = await temporaryDatabase({ isManaged: true });
  owner = createDb({ url: database.ownerUrl });
});
afterAll(async () => {
  await owner.$disconnect();
  await database[Symbol.asyncDispose]();
});

async function erasedPerson() {
  const { db } = database;
  const email = `${randomUUID()}@people.example`;
  const { id } = await createUser(db, { email, name: "Eve", passwordHash: null });
  const complete = (tenant: Tenant) => completeErasure(tenant, "account", id);
  await withTenant(db, id, (tenant) => requestErasure(tenant, "account", id));
  await owner.$executeRaw`CHECKPOINT`;
  await withTenant(db, id, async (tenant) => {
    await deleteUser(tenant);
    await complete(tenant);
  });
  return { id, email, complete };
}

function isInTables(text: string): boolean {
  const base = join(database.directory, "data", "base");
  return readdirSync(base, { recursive: true, withFileTypes: true }).some(
    (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(text),
  );
}

const untilForgotten = (count: number) =>
  vi.waitFor(async () =>
    expect(await forgetErasedRows(database.db)).toEqual({ waiting: count, forgotten: count }),
  );

it("needs no superuser for the tables; the log of changes is then the server's own to cut off", async () => {
  const { email } = await erasedPerson();
  expect(isInTables(email)).toBe(true);
  await untilForgotten(1);
  expect(isInTables(email)).toBe(false);
});

it("is done again for what was erased again, and for nothing else", async () => {
  const { db } = database;
  const { id, complete } = await erasedPerson();
  await untilForgotten(1);
  expect(await forgetErasedRows(db)).toEqual({ waiting: 0, forgotten: 0 });
  await withTenant(db, id, (tenant) => reopenErasure(tenant, "account", id));
  expect(await forgetErasedRows(db)).toEqual({ waiting: 0, forgotten: 0 });
  await withTenant(db, id, complete);
  await untilForgotten(1);
});

it("is nothing that the app could say of itself", async () => {
  const { id } = await erasedPerson();
  const claim = withTenant(database.db, id, ({ tx }) =>
    tx.tombstone.updateMany({ where: { subjectId: id }, data: { forgottenAt: new Date() } }),
  );
  await expect(claim).rejects.toThrow(/permission denied/);
});
