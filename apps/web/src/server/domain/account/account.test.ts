import { randomUUID } from "node:crypto";
import { ManualClock } from "@atoll/base/manual-clock";
import { checkAuthSession, createAuthSession } from "@atoll/db/auth-sessions";
import { createWorkspace } from "@atoll/db/create-workspace";
import { findReceiptById } from "@atoll/db/receipts";
import { findErasureByReceipt } from "@atoll/db/tombstones";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError } from "@atoll/protocol/atoll-error";
import { verifyReceipt } from "@atoll/receipt/verify-receipt";
import { describe, expect, it, vi } from "vitest";
import { RateLimiter } from "#server/auth/rate-limiter.ts";
import { databaseAndIssuer } from "#server/testing/database-and-issuer.ts";
import { registerUser } from "../auth/register-user.ts";
import { verifySignIn } from "../auth/verify-sign-in.ts";
import { confirmIdentity } from "./confirm-identity.ts";
import { deleteAccount, finishAccountErasure } from "./delete-account.ts";
import { resumeErasures } from "./resume-erasures.ts";

const suite = databaseAndIssuer();

const PASSWORD = "correct horse battery";
const limiter = (capacity: number) =>
  new RateLimiter({ capacity, windowMs: 60_000, maxKeys: 100, clock: new ManualClock() });

async function signUp() {
  const email = `${randomUUID()}@people.example`;
  const { db } = suite.database;
  const context = { db, signUps: limiter(10), address: "::1" };
  const user = await registerUser(context, { name: "Ada", email, password: PASSWORD });
  const session = await withTenant(db, user.id, (tenant) =>
    createAuthSession(tenant, { expiresAt: new Date(Date.now() + 60_000), userAgent: null }),
  );
  return { email, user, session };
}

describe("signing in", () => {
  const door = (address = "::1") => ({
    db: suite.database.db,
    accountFailures: limiter(3),
    addressFailures: limiter(5),
    address,
  });

  it("lets the right password in, whatever the case of the address was", async () => {
    const { email, user } = await signUp();
    expect((await verifySignIn(door(), { email, password: PASSWORD })).id).toBe(user.id);
  });

  it("says the same of a wrong password and an unknown address", async () => {
    const { email } = await signUp();
    for (const attempt of [email, "nobody@people.example"]) {
      await expect(verifySignIn(door(), { email: attempt, password: "not this one" })).rejects.toMatchObject({
        code: "auth.invalid_credentials",
      });
    }
  });

  it("closes the door after a few failures, for the right password too, also when they come at once", async () => {
    const { email } = await signUp();
    const context = door();
    const guesses = Array.from({ length: 8 }, () =>
      verifySignIn(context, { email, password: "guess guess" }).catch((error: AtollError) => error.code),
    );
    const codes = await Promise.all(guesses);
    expect(codes.filter((code) => code === "auth.invalid_credentials")).toHaveLength(3);
    await expect(verifySignIn(context, { email, password: PASSWORD })).rejects.toMatchObject({
      code: "request.rate_limited",
    });
  });

  it("does not count what succeeded", async () => {
    const { email } = await signUp();
    const context = door();
    for (let index = 0; index < 8; index += 1) await verifySignIn(context, { email, password: PASSWORD });
  });

  it("refuses a second account for one address", async () => {
    const { email } = await signUp();
    const context = { db: suite.database.db, signUps: limiter(10), address: "::1" };
    await expect(registerUser(context, { name: "B", email, password: PASSWORD })).rejects.toMatchObject({
      code: "auth.email_taken",
    });
  });
});

describe("erasing an account", () => {
  const receiptOf = (workspaceIds: string[]) => ({
    erasures: workspaceIds.map((workspaceId) => ({
      workspaceId,
      keyCommitment: "a".repeat(64),
      requestedAtMs: 1,
      keyDestroyedAtMs: 2,
      dataUnlinkedAtMs: 3,
    })),
    ownerKeyCommitment: "b".repeat(64),
    ownerKeyDestroyedAtMs: 4,
  });

  it("asks for the address and the password again", async () => {
    const { user, session } = await signUp();
    const live = await checkAuthSession(suite.database.db, user.id, session.id);
    if (!live) throw new Error("not signed in");
    const context = { db: suite.database.db, accountFailures: limiter(3), now: Date.now() };
    const ask = (email: string, password: string) => confirmIdentity(context, live, { email, password });
    await expect(ask("other@people.example", PASSWORD)).rejects.toMatchObject({ code: "request.invalid" });
    await expect(ask(user.email, "wrong")).rejects.toMatchObject({ code: "auth.invalid_credentials" });
    await ask(user.email, PASSWORD);
  });

  it("leaves a receipt and nothing else", async () => {
    const { user, session } = await signUp();
    const { db } = suite.database;
    const row = await withTenant(db, user.id, (tenant) =>
      createWorkspace(tenant, { name: "A", image: "base" }),
    );
    const hostd = { deleteOwner: async () => receiptOf([row.id]), revokeSessions: vi.fn(async () => {}) };
    const { receiptId, status } = await deleteAccount(
      { db, hostd, receipts: suite.issuer.receipts },
      user.id,
    );
    expect(status).toBe("erased");
    expect(hostd.revokeSessions).toHaveBeenCalledWith({ userId: user.id });
    expect(await checkAuthSession(db, user.id, session.id)).toBeNull();
    const text = (await findReceiptById(db, receiptId))?.json ?? "";
    const { receipt } = await verifyReceipt(text, suite.issuer.publicKey);
    expect(receipt).toMatchObject({
      receiptId,
      scope: "account",
      counts: { workspaces: 1, keys: 2 },
      keysDestroyedAtMs: 4,
      dataUnlinkedAtMs: 3,
      backupHorizonAtMs: receipt.issuedAtMs + 30 * 86_400_000,
    });
    expect(receipt.keys.map(({ commitment }) => commitment)).toEqual(["b".repeat(64), "a".repeat(64)]);
    for (const personal of [user.id, user.email, row.id]) expect(text).not.toContain(personal);
  });

  it("attests an account that never had a machine without inventing a key", async () => {
    const { user } = await signUp();
    const { db } = suite.database;
    const hostd = {
      deleteOwner: async () => {
        throw new AtollError("workspace.not_found");
      },
      revokeSessions: async () => {},
    };
    const { receiptId } = await deleteAccount({ db, hostd, receipts: suite.issuer.receipts }, user.id);
    const { receipt } = await verifyReceipt(
      (await findReceiptById(db, receiptId))?.json ?? "",
      suite.issuer.publicKey,
    );
    expect(receipt).toMatchObject({ counts: { workspaces: 0, keys: 0 }, keys: [], keysDestroyedAtMs: null });
  });

  it("signs everybody out at once although the host is away, and is finished by the sweep", async () => {
    const { email, user, session } = await signUp();
    const { db } = suite.database;
    const away = {
      deleteOwner: async () => {
        throw new AtollError("host.unreachable");
      },
      revokeSessions: async () => {},
      deleteWorkspace: async () => receiptOf([]),
    };
    const { receipts } = suite.issuer;
    const { receiptId, status } = await deleteAccount({ db, hostd: away, receipts }, user.id);
    expect(status).toBe("pending");
    // Nothing is signed while a key may still be there; its address already says what is waited for.
    expect(await findReceiptById(db, receiptId)).toBeNull();
    expect(await findErasureByReceipt(db, receiptId)).toMatchObject({ kind: "account", completedAt: null });
    const door = { db, accountFailures: limiter(9), addressFailures: limiter(9), address: "::1" };
    const refused = { code: "auth.invalid_credentials" };
    expect(await checkAuthSession(db, user.id, session.id)).toBeNull();
    await expect(verifySignIn(door, { email, password: PASSWORD })).rejects.toMatchObject(refused);
    const again = withTenant(db, user.id, (tenant) =>
      createAuthSession(tenant, { expiresAt: new Date(Date.now() + 60_000), userAgent: null }),
    );
    await expect(again).rejects.toMatchObject(refused);
    await resumeErasures({ db, hostd: { ...away, deleteOwner: async () => receiptOf([]) }, receipts });
    const text = (await findReceiptById(db, receiptId))?.json ?? "";
    expect((await verifyReceipt(text, suite.issuer.publicKey)).receipt.receiptId).toBe(receiptId);
    expect(await findErasureByReceipt(db, receiptId)).toMatchObject({ completedAt: expect.any(Date) });
  });

  it("answers the same receipt however often and from however many sides it is finished", async () => {
    const { user } = await signUp();
    const { db } = suite.database;
    const hostd = { deleteOwner: async () => receiptOf([]), revokeSessions: async () => {} };
    const context = { db, hostd, receipts: suite.issuer.receipts };
    const outcomes = await Promise.all([deleteAccount(context, user.id), deleteAccount(context, user.id)]);
    expect(new Set(outcomes.map(({ receiptId }) => receiptId)).size).toBe(1);
    const receiptId = outcomes[0]?.receiptId ?? "";
    const first = (await findReceiptById(db, receiptId))?.json;
    await finishAccountErasure(context, user.id);
    expect((await findReceiptById(db, receiptId))?.json).toBe(first);
  });
});
