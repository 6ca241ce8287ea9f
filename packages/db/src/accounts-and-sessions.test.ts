import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linkAccount, signInWithAccount } from "./accounts.ts";
import { appendAudit, appendSystemAudit, listAudit } from "./audit.ts";
import { findUserByEmail, findUserIdByAccount } from "./auth-queries.ts";
import {
  checkAuthSession,
  createAuthSession,
  listAuthSessions,
  revokeAllAuthSessions,
  revokeAuthSession,
} from "./auth-sessions.ts";
import type { Db } from "./create-db.ts";
import { type TemporaryDatabase, temporaryDatabase } from "./testing/temporary-database.ts";
import { createUser, getUser } from "./users.ts";
import { withTenant } from "./with-tenant.ts";

let database: TemporaryDatabase;
let db: Db;

beforeAll(async () => {
  database = await temporaryDatabase();
  db = database.db;
});

afterAll(() => database[Symbol.asyncDispose]());

const newUser = () =>
  createUser(db, { email: `${randomUUID()}@example.test`, name: "Ada", passwordHash: "hash" });
const inAnHour = () => new Date(Date.now() + 3_600_000);

describe("users", () => {
  it("finds a sign-in by any spelling of the address and hands the hash to nothing else", async () => {
    const email = `Ada-${randomUUID()}@Example.Test`;
    const user = await createUser(db, { email: ` ${email} `, name: "Ada", passwordHash: "hash" });
    expect(user).not.toHaveProperty("passwordHash");
    expect(await findUserByEmail(db, email.toUpperCase())).toEqual({
      id: user.id,
      email: email.toLowerCase(),
      name: "Ada",
      passwordHash: "hash",
    });
    expect(await withTenant(db, user.id, getUser)).toEqual(user);
  });

  it("lets one of several sign-ups with the same address win", async () => {
    const email = `${randomUUID()}@example.test`;
    const spellings = [email, email.toUpperCase(), ` ${email}`, email];
    const results = await Promise.allSettled(
      spellings.map((spelling) => createUser(db, { email: spelling, name: "x", passwordHash: null })),
    );
    const refused = results
      .filter((result) => result.status === "rejected")
      .map((result) => result.reason.code);
    expect(refused).toEqual(["auth.email_taken", "auth.email_taken", "auth.email_taken"]);
  });

  it("answers an unknown or hostile address with null", async () => {
    expect(await findUserByEmail(db, "nobody@example.test")).toBeNull();
    expect(await findUserByEmail(db, "' OR true --")).toBeNull();
    expect(await findUserByEmail(db, "%")).toBeNull();
  });
});

describe("identity providers", () => {
  it("makes one account for many first sign-ins at once, and finds it later", async () => {
    const identity = {
      provider: "oidc",
      providerAccountId: randomUUID(),
      email: `${randomUUID()}@x.test`,
      name: "O",
    };
    const ids = await Promise.all(Array.from({ length: 5 }, () => signInWithAccount(db, identity)));
    expect(new Set(ids).size).toBe(1);
    expect(await signInWithAccount(db, { ...identity, email: "changed@x.test" })).toBe(ids[0]);
  });

  it("does not hand an existing account to whoever names its address", async () => {
    const user = await newUser();
    const identity = {
      provider: "oidc",
      providerAccountId: randomUUID(),
      email: user.email,
      name: "Mallory",
    };
    await expect(signInWithAccount(db, identity)).rejects.toMatchObject({ code: "auth.email_taken" });
    expect(await findUserIdByAccount(db, "oidc", identity.providerAccountId)).toBeNull();
    await withTenant(db, user.id, (tenant) => linkAccount(tenant, "oidc", identity.providerAccountId));
    expect(await signInWithAccount(db, identity)).toBe(user.id);
  });
});

describe("auth sessions", () => {
  it("holds until revoked, and only for its own user", async () => {
    const user = await newUser();
    const other = await newUser();
    const session = await withTenant(db, user.id, (tenant) =>
      createAuthSession(tenant, { expiresAt: inAnHour(), userAgent: "x".repeat(5_000) }),
    );
    expect(await checkAuthSession(db, user.id, session.id)).toEqual({ session, user });
    expect(await checkAuthSession(db, other.id, session.id)).toBeNull();
    expect(await withTenant(db, other.id, (tenant) => revokeAuthSession(tenant, session.id))).toBe(false);
    expect(await withTenant(db, user.id, (tenant) => revokeAuthSession(tenant, session.id))).toBe(true);
    expect(await checkAuthSession(db, user.id, session.id)).toBeNull();
  });

  it("ends at its expiry", async () => {
    const user = await newUser();
    const expiresAt = inAnHour();
    const session = await withTenant(db, user.id, (tenant) =>
      createAuthSession(tenant, { expiresAt, userAgent: null }),
    );
    expect(await checkAuthSession(db, user.id, session.id, new Date(expiresAt.getTime() - 1))).not.toBeNull();
    expect(await checkAuthSession(db, user.id, session.id, expiresAt)).toBeNull();
  });

  it("revokes all at once and names those that were live", async () => {
    const user = await newUser();
    const create = () =>
      withTenant(db, user.id, (tenant) =>
        createAuthSession(tenant, { expiresAt: inAnHour(), userAgent: null }),
      );
    const sessions = [await create(), await create()];
    const revoked = await withTenant(db, user.id, (tenant) => revokeAllAuthSessions(tenant));
    expect(revoked.sort()).toEqual(sessions.map((session) => session.id).sort());
    expect(await withTenant(db, user.id, (tenant) => listAuthSessions(tenant))).toEqual([]);
  });

  it("treats malformed ids as unknown", async () => {
    expect(await checkAuthSession(db, "x", "y")).toBeNull();
    expect(await checkAuthSession(db, randomUUID(), "'; drop table users")).toBeNull();
  });
});

describe("audit log", () => {
  it("keeps each tenant's events apart, newest first", async () => {
    const user = await newUser();
    const other = await newUser();
    const actor = `user:${user.id}`;
    for (const action of ["one", "two"]) {
      await withTenant(db, user.id, (tenant) =>
        appendAudit(tenant, { actor, action, outcome: "ok", detail: { action } }),
      );
    }
    await appendSystemAudit(db, { actor: "nobody@example.test", action: "auth.sign_in", outcome: "denied" });
    const read = (id: string) => withTenant(db, id, (tenant) => listAudit(tenant, { limit: 10 }));
    expect((await read(user.id)).map((event) => event.action).sort()).toEqual(["one", "two"]);
    expect(await read(other.id)).toEqual([]);
  });

  it("goes with the deed: a failed transaction leaves no event", async () => {
    const user = await newUser();
    const attempt = withTenant(db, user.id, async (tenant) => {
      await appendAudit(tenant, { actor: "x", action: "never", outcome: "ok" });
      throw new Error("boom");
    });
    await expect(attempt).rejects.toThrow("boom");
    expect(await withTenant(db, user.id, (tenant) => listAudit(tenant, { limit: 10 }))).toEqual([]);
  });
});
