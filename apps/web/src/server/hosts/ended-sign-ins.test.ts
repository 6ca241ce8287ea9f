import { randomUUID } from "node:crypto";
import { ManualClock } from "@atoll/base/manual-clock";
import { createAuthSession, revokeAuthSession } from "@atoll/db/auth-sessions";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { createUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError } from "@atoll/protocol/atoll-error";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { EndedSignIns } from "./ended-sign-ins.ts";

let database: TemporaryDatabase;
beforeAll(async () => {
  database = await temporaryDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(() => {
  hostd.isAway = false;
  hostd.told = [];
});

const clock = new ManualClock();
const hostd = {
  isAway: false,
  told: [] as Array<{ userId: string; authSessionId?: string | undefined }>,
  async revokeSessions(body: { userId: string; authSessionId?: string | undefined }): Promise<void> {
    if (this.isAway) throw new AtollError("host.unreachable");
    this.told.push(body);
  },
};

/** Somebody who signed in, and out again at `endedAt`. */
async function ended(endedAt: Date): Promise<{ userId: string; authSessionId: string }> {
  const { db } = database;
  const { id: userId } = await createUser(db, {
    email: `${randomUUID()}@people.example`,
    name: "A",
    passwordHash: null,
  });
  return withTenant(db, userId, async (tenant) => {
    const wish = { expiresAt: new Date(endedAt.getTime() + 1e9), userAgent: null };
    const { id } = await createAuthSession(tenant, wish);
    await createAuthSession(tenant, wish);
    await revokeAuthSession(tenant, id, endedAt);
    return { userId, authSessionId: id };
  });
}

it("tells hostd later what it was not there to hear, each user's own, and then no more", async () => {
  const signIns = new EndedSignIns({ db: database.db, hostd, clock });
  await signIns.catchUp();
  hostd.told = [];
  const one = await ended(new Date(clock.now()));
  const other = await ended(new Date(clock.now()));
  hostd.isAway = true;
  await expect(signIns.ended(one.userId, one.authSessionId)).rejects.toMatchObject({
    code: "host.unreachable",
  });
  await expect(signIns.catchUp()).rejects.toMatchObject({ code: "host.unreachable" });
  hostd.isAway = false;
  await signIns.catchUp();
  expect(hostd.told).toEqual(expect.arrayContaining([one, other]));
  hostd.told = [];
  await signIns.catchUp();
  expect(hostd.told).toEqual([]);
  await signIns.ended(one.userId, one.authSessionId);
  expect(hostd.told).toEqual([one]);
});

it("tells what an earlier process could not, unless no grant of it can be alive", async () => {
  const recent = await ended(new Date(clock.now() - (PREVIEW_GRANT_SECONDS - 60) * 1000));
  const old = await ended(new Date(clock.now() - (PREVIEW_GRANT_SECONDS + 3600) * 1000));
  await new EndedSignIns({ db: database.db, hostd, clock }).catchUp();
  expect(hostd.told).toContainEqual(recent);
  expect(hostd.told).not.toContainEqual(old);
});
