/**
 * The database's part of the data map: one mark for each column that somebody's words come to lie in, found in the server's
 * files before the erasure and in none of them after it.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { linkAccount } from "@atoll/db/accounts";
import { createAuthSession } from "@atoll/db/auth-sessions";
import { createDb, type Db } from "@atoll/db/create-db";
import { createWorkspace } from "@atoll/db/create-workspace";
import { forgetErasedRows } from "@atoll/db/forget-erased-rows";
import { createTemplate } from "@atoll/db/templates";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { withTenant } from "@atoll/db/with-tenant";
import { renameWorkspace } from "@atoll/db/workspaces";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { RateLimiter } from "#server/auth/rate-limiter.ts";
import { temporaryReceiptIssuer } from "#server/testing/temporary-receipt-issuer.ts";
import { registerUser } from "../auth/register-user.ts";
import { verifySignIn } from "../auth/verify-sign-in.ts";
import { deleteAccount } from "./delete-account.ts";

/** Columns with text of a person's, or that is theirs alone. */
const PERSONAL = [
  "users.email",
  "users.name",
  "users.password_hash",
  "accounts.provider_account_id",
  "auth_sessions.user_agent",
  "workspaces.name",
  "workspaces.slug",
  "templates.name",
] as const;
/** Columns with words of ours, ids and hashes of ids. Those of the last three tables outlive the account. */
const OURS = [
  "accounts.provider",
  "workspaces.image",
  "workspaces.state",
  "workspaces.state_reason",
  "workspaces.origin",
  "templates.image",
  "erasure_receipts.user_hash",
  "erasure_receipts.json",
  "audit_events.actor",
  "audit_events.action",
  "audit_events.target",
  "audit_events.detail",
];
/** Where else the server puts what it is given: values that a row no longer has, and its own messages. */
const ELSEWHERE = ["an earlier workspaces.name"] as const;
type Place = (typeof PERSONAL)[number] | (typeof ELSEWHERE)[number];

let database: TemporaryDatabase;
let owner: Db;
let issuer: Awaited<ReturnType<typeof temporaryReceiptIssuer>>;
beforeAll(async () => {
  database = await temporaryDatabase({ isDurable: true });
  owner = createDb({ url: database.ownerUrl });
  issuer = await temporaryReceiptIssuer();
});
afterAll(async () => {
  await owner.$disconnect();
  await database[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

const PASSWORD = "correct horse battery";
const limiter = () =>
  new RateLimiter({ capacity: 9, windowMs: 60_000, maxKeys: 9, clock: new ManualClock() });
const word = () => randomBytes(10).toString("hex");

async function person(): Promise<{ userId: string; email: string; marks: Map<Place, string> }> {
  const { db } = database;
  const [name, email, identity, browser, before, after, taught] = [
    ...[`Name ${word()}`, `${word()}@people.example`, word(), `Browser/${word()}`],
    ...[`Reef ${word()}`, `Atoll ${word()}`, `Course ${word()}`],
  ] as [string, string, string, string, string, string, string];
  const door = { db, signUps: limiter(), address: "::1" };
  const { id: userId } = await registerUser(door, { name, email, password: PASSWORD });
  const made = await withTenant(db, userId, async (tenant) => {
    await linkAccount(tenant, "oidc", identity);
    await createAuthSession(tenant, { expiresAt: new Date(Date.now() + 60_000), userAgent: browser });
    const workspace = await createWorkspace(tenant, { name: before, image: "base" });
    const { cpus, memoryMb, diskMb } = workspace;
    await createTemplate(tenant, {
      ...{ id: randomUUID(), name: taught, sourceWorkspaceId: workspace.id, checkpointId: randomUUID() },
      ...{ image: "base", cpus, memoryMb, diskMb },
    });
    await renameWorkspace(tenant, workspace.id, after);
    const { passwordHash } = await tenant.tx.user.findUniqueOrThrow({ where: { id: userId } });
    return { slug: workspace.slug, passwordHash: passwordHash ?? "" };
  });
  const marks = new Map<Place, string>([
    ["users.email", email],
    ["users.name", name],
    ["users.password_hash", made.passwordHash],
    ["accounts.provider_account_id", identity],
    ["auth_sessions.user_agent", browser],
    ["workspaces.name", after],
    ["workspaces.slug", made.slug],
    ["templates.name", taught],
    ["an earlier workspaces.name", before],
  ]);
  return { userId, email, marks };
}

/** Places whose mark lies in a file of the server's: tables, indexes, statistics, the log of changes, messages. */
function inFiles(marks: ReadonlyMap<Place, string>): Map<Place, string[]> {
  const found = new Map<Place, string[]>();
  for (const entry of readdirSync(database.directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = readFileSync(join(entry.parentPath, entry.name));
    for (const [place, mark] of marks) {
      if (bytes.includes(mark))
        found.set(place, [...(found.get(place) ?? []), join(entry.parentPath, entry.name)]);
    }
  }
  return found;
}

/** Rows, of any table, that hold one of the marks. */
async function inRows(marks: Iterable<string>): Promise<string[]> {
  const tables = await owner.$queryRaw<Array<{ name: string }>>`
    SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
  const rows: string[] = [];
  for (const { name } of tables) {
    const all = await owner.$queryRawUnsafe<Array<{ row: string }>>(
      `SELECT row_to_json(t)::text AS row FROM "${name}" t`,
    );
    rows.push(...all.map(({ row }) => `${name} ${row}`));
  }
  const wanted = [...marks];
  return rows.filter((row) => wanted.some((mark) => row.includes(mark)));
}

/** An autovacuum that looks at the same time only delays it. */
const forgetAll = () =>
  vi.waitFor(async () => {
    const { waiting, forgotten } = await forgetErasedRows(database.db);
    expect(forgotten).toBe(waiting);
    return forgotten;
  });

const hostd = {
  deleteOwner: async () => ({ erasures: [], ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null }),
  revokeSessions: async () => {},
};

it("every column that can hold words is in the map", async () => {
  const columns = await owner.$queryRaw<Array<{ name: string }>>`
    SELECT table_name || '.' || column_name AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'
      AND data_type NOT IN ('uuid', 'integer', 'timestamp with time zone')
      AND (data_type <> 'USER-DEFINED' OR udt_name NOT IN (SELECT typname FROM pg_type WHERE typtype = 'e'))`;
  expect(columns.map(({ name }) => name).sort()).toEqual([...PERSONAL, ...OURS].sort());
});

it("nothing of an erased account is left in rows, files, logs and statistics, and everything of another's is", async () => {
  const { db } = database;
  // A segment of its own, so that the next checkpoint does not end the search before it began.
  await owner.$queryRaw`SELECT pg_switch_wal()::text`;
  const [eve, bob] = [await person(), await person()];
  // What is refused is logged, by us and by the server; row-level security keeps its values out of the server's messages.
  const door = { db, accountFailures: limiter(), addressFailures: limiter(), address: "::1" };
  await expect(verifySignIn(door, { email: eve.email, password: "not it" })).rejects.toThrow();
  const again = { name: "Again", email: eve.email, password: PASSWORD };
  await expect(registerUser({ db, signUps: limiter(), address: "::1" }, again)).rejects.toThrow();
  await owner.$executeRaw`ANALYZE`;
  await owner.$executeRaw`CHECKPOINT`;

  const before = inFiles(eve.marks);
  expect([...before.keys()].sort()).toEqual([...PERSONAL, ...ELSEWHERE].sort());
  const folders = (place: Place) => (before.get(place) ?? []).map((path) => path.replace(/\/[^/]*$/, ""));
  for (const place of PERSONAL) {
    expect(
      folders(place).some((path) => path.endsWith("pg_wal")),
      `${place} in the log of changes`,
    ).toBe(true);
    expect(
      folders(place).some((path) => path.includes("/base/")),
      `${place} in a table`,
    ).toBe(true);
  }
  for (const place of before.keys())
    expect(folders(place).filter((path) => path.endsWith("/log"))).toEqual([]);
  expect((await inRows(eve.marks.values())).length).toBeGreaterThan(4);

  expect(await deleteAccount({ db, hostd, receipts: issuer.receipts }, eve.userId)).toMatchObject({
    status: "erased",
  });
  expect(await inRows(eve.marks.values())).toEqual([]);
  // Deleted and still there for whoever reads the files: without the next step this test would not hold.
  expect(inFiles(eve.marks).size).toBe(eve.marks.size);
  expect(await forgetAll()).toBeGreaterThan(0);
  expect(inFiles(eve.marks)).toEqual(new Map());

  expect((await inRows(bob.marks.values())).length).toBeGreaterThan(4);
  const bobs = new Map([...bob.marks].filter(([place]) => place !== "an earlier workspaces.name"));
  expect([...inFiles(bobs).keys()].sort()).toEqual([...PERSONAL].sort());
  expect(await verifySignIn(door, { email: bob.email, password: PASSWORD })).toMatchObject({
    id: bob.userId,
  });
  // Done once: it costs everybody a moment.
  expect(await forgetErasedRows(db)).toEqual({ waiting: 0, forgotten: 0 });
});

it("rows that somebody still reads are taken by a later call, and nobody is made to wait", async () => {
  const { db } = database;
  const eve = await person();
  const reader = createDb({ url: database.ownerUrl, maxConnections: 1 });
  try {
    await reader.$executeRawUnsafe("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await reader.$queryRaw`SELECT count(*) FROM users`;
    await deleteAccount({ db, hostd, receipts: issuer.receipts }, eve.userId);
    const { waiting, forgotten } = await forgetErasedRows(db);
    expect(waiting).toBeGreaterThan(0);
    expect(forgotten).toBe(0);
    await reader.$executeRawUnsafe("ROLLBACK");

    // A lock without a snapshot: it gives up rather than let everybody queue behind it.
    await reader.$executeRawUnsafe("BEGIN");
    await reader.$executeRawUnsafe("LOCK TABLE users IN ACCESS SHARE MODE");
    await expect(forgetErasedRows(db)).rejects.toThrow(/lock timeout/);
    await reader.$executeRawUnsafe("ROLLBACK");
  } finally {
    await reader.$disconnect();
  }
  await forgetAll();
  expect(inFiles(eve.marks)).toEqual(new Map());
});
