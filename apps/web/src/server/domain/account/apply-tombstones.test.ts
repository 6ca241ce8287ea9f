import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findUserByEmail } from "@atoll/db/auth-queries";
import { checkAuthSession, createAuthSession } from "@atoll/db/auth-sessions";
import { createDb, type Db } from "@atoll/db/create-db";
import { createWorkspace } from "@atoll/db/create-workspace";
import { findReceiptById } from "@atoll/db/receipts";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { listTombstones } from "@atoll/db/tombstones";
import { createUser, getUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { listWorkspaces, listWorkspacesToErase } from "@atoll/db/workspaces";
import { receiptFile } from "@atoll/receipt/erasure-receipt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { HostdClient } from "#server/hosts/hostd-client.ts";
import { FakeHostd } from "#server/testing/fake-hostd.ts";
import { temporaryReceiptIssuer } from "#server/testing/temporary-receipt-issuer.ts";
import { deleteWorkspace } from "../workspace/delete-workspace.ts";
import { applyTombstones } from "./apply-tombstones.ts";
import { deleteAccount } from "./delete-account.ts";
import { resumeErasures } from "./resume-erasures.ts";

const execute = promisify(execFile);

let database: TemporaryDatabase;
let owner: Db;
let hostd: FakeHostd;
let issuer: Awaited<ReturnType<typeof temporaryReceiptIssuer>>;
beforeAll(async () => {
  database = await temporaryDatabase();
  owner = createDb({ url: database.ownerUrl });
  hostd = await FakeHostd.start();
  issuer = await temporaryReceiptIssuer();
});
afterAll(async () => {
  await owner.$disconnect();
  await database[Symbol.asyncDispose]();
  await hostd[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

/** The server's files as they are now; the function it answers puts exactly these back, as an operator does. */
async function backUp(): Promise<() => Promise<void>> {
  const data = join(database.directory, "data");
  const copy = join(database.directory, "backup");
  await owner.$disconnect();
  await database.whileStopped(async () => void (await execute("cp", ["-a", data, copy])));
  return async () => {
    await owner.$disconnect();
    await database.whileStopped(async () => {
      await rm(data, { recursive: true });
      await rename(copy, data);
    });
  };
}

const erasureOf = (workspaceId: string) => ({
  workspaceId,
  keyCommitment: "a".repeat(64),
  requestedAtMs: 1,
  keyDestroyedAtMs: 2,
  dataUnlinkedAtMs: 3,
});

async function person() {
  const { db } = database;
  const email = `${randomUUID()}@people.example`;
  const user = await createUser(db, { email, name: "Ada", passwordHash: "x" });
  const session = await withTenant(db, user.id, (tenant) =>
    createAuthSession(tenant, { expiresAt: new Date(Date.now() + 60_000), userAgent: null }),
  );
  const workspace = await withTenant(db, user.id, (tenant) =>
    createWorkspace(tenant, { name: "A", image: "base" }),
  );
  return { email, user, session, workspace };
}

it("what was erased after a backup is closed before anything is served, and erased again", async () => {
  const { db } = database;
  const context = { db, hostd: new HostdClient({ socketPath: hostd.socketPath }), receipts: issuer.receipts };
  const [gone, kept, partly] = [await person(), await person(), await person()];
  const evidence = {
    erasures: [erasureOf(gone.workspace.id)],
    ownerKeyCommitment: "b".repeat(64),
    ownerKeyDestroyedAtMs: 4,
  };
  hostd.answers.set("POST /v1/sessions/revoke", { body: { endedCount: 0 } });
  hostd.answers.set(`DELETE /v1/owners/${gone.user.id}`, { body: evidence });
  hostd.answers.set(`DELETE /v1/workspaces/${gone.workspace.id}`, {
    body: { ...evidence, ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null },
  });
  hostd.answers.set(`DELETE /v1/workspaces/${partly.workspace.id}`, {
    body: {
      erasures: [erasureOf(partly.workspace.id)],
      ownerKeyCommitment: null,
      ownerKeyDestroyedAtMs: null,
    },
  });
  const restore = await backUp();
  await deleteAccount(context, gone.user.id);
  await deleteWorkspace(context, partly.user.id, partly.workspace.id);
  hostd.answers.set("GET /v1/tombstones", {
    body: {
      tombstones: [
        { kind: "owner", id: gone.user.id, requestedAtMs: 1 },
        { kind: "workspace", id: gone.workspace.id, requestedAtMs: 1 },
        { kind: "workspace", id: partly.workspace.id, requestedAtMs: 1 },
        { kind: "workspace", id: randomUUID(), requestedAtMs: 1 },
      ],
    },
  });
  expect(await applyTombstones(context)).toBe(0);

  await restore();
  // The backup does bring everything back, tombstones it does not know and all.
  expect(await withTenant(db, gone.user.id, getUser)).not.toBeNull();
  expect(await checkAuthSession(db, gone.user.id, gone.session.id)).not.toBeNull();
  expect(await listTombstones(db, { onlyPending: false })).toEqual([]);

  expect(await applyTombstones(context)).toBe(3);
  expect(await checkAuthSession(db, gone.user.id, gone.session.id)).toBeNull();
  expect(await findUserByEmail(db, gone.email)).toBeNull();
  for (const { user } of [gone, partly]) expect(await withTenant(db, user.id, listWorkspaces)).toEqual([]);
  expect(await withTenant(db, kept.user.id, listWorkspaces)).toHaveLength(1);
  expect(await checkAuthSession(db, kept.user.id, kept.session.id)).not.toBeNull();

  await resumeErasures(context);
  expect(await withTenant(db, gone.user.id, getUser)).toBeNull();
  expect(await withTenant(db, partly.user.id, listWorkspacesToErase)).toEqual([]);
  expect(await withTenant(db, partly.user.id, getUser)).not.toBeNull();
  const done = await listTombstones(db, { onlyPending: false });
  expect(done.filter(({ completedAt }) => completedAt === null)).toEqual([]);
  const receipts = done.filter(({ kind, tenantId }) => kind === "account" || tenantId === partly.user.id);
  expect(receipts).toHaveLength(2);
  for (const { receiptId } of receipts) {
    const { receipt } = receiptFile.parse(JSON.parse((await findReceiptById(db, receiptId))?.json ?? ""));
    // When it was asked for first, and not when it was found again.
    expect(receipt.requestedAtMs).toBe(1);
  }
  expect(await applyTombstones(context)).toBe(0);
});

it("rows that come back one by one are erased again under the receipt they had", async () => {
  const { db } = database;
  const context = { db, hostd: new HostdClient({ socketPath: hostd.socketPath }), receipts: issuer.receipts };
  const { user, workspace } = await person();
  hostd.answers.set(`DELETE /v1/owners/${user.id}`, {
    body: { erasures: [], ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null },
  });
  hostd.answers.set(`DELETE /v1/workspaces/${workspace.id}`, {
    body: { erasures: [], ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null },
  });
  hostd.answers.set("GET /v1/tombstones", { body: { tombstones: [] } });
  const [row] = await owner.$queryRaw<
    Array<{ row: unknown }>
  >`SELECT row_to_json(t) AS row FROM users t WHERE id = ${user.id}::uuid`;
  const { receiptId } = await deleteAccount(context, user.id);
  const before = (await findReceiptById(db, receiptId))?.json;
  await owner.$executeRawUnsafe(
    "INSERT INTO users SELECT * FROM json_populate_record(NULL::users, $1::json)",
    JSON.stringify(row?.row),
  );
  expect(await applyTombstones(context)).toBe(1);
  await resumeErasures(context);
  expect(await withTenant(db, user.id, getUser)).toBeNull();
  expect((await findReceiptById(db, receiptId))?.json).toBe(before);
});

it("without hostd nobody knows what was erased, so nothing is decided", async () => {
  const context = { db: database.db, hostd: new HostdClient({ socketPath: "/nowhere/hostd.sock" }) };
  await expect(applyTombstones(context)).rejects.toMatchObject({ code: "host.unreachable" });
});
