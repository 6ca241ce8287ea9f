import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Db } from "./create-db.ts";
import type { AuthSession } from "./generated/client.ts";
import { getTombstone } from "./tombstones.ts";
import type { PublicUser } from "./users.ts";
import { isUuid, type Tenant, withTenant } from "./with-tenant.ts";

/** The table's own limit; browsers send shorter ones, attackers do not. */
const MAX_USER_AGENT_CHARS = 400;

export interface NewAuthSession {
  expiresAt: Date;
  userAgent: string | null;
}

export interface LiveSession {
  session: AuthSession;
  user: PublicUser;
}

/** @throws AtollError auth.invalid_credentials once the account's erasure was asked for */
export async function createAuthSession(
  tenant: Tenant,
  { expiresAt, userAgent }: NewAuthSession,
): Promise<AuthSession> {
  const { tx, userId } = tenant;
  if ((await getTombstone(tenant, "account", userId)) !== null) {
    throw new AtollError("auth.invalid_credentials", "the account is closed");
  }
  return tx.authSession.create({
    data: {
      id: randomUUID(),
      userId,
      expiresAt,
      userAgent: userAgent?.slice(0, MAX_USER_AGENT_CHARS) ?? null,
    },
  });
}

/** The sign-in and its user, or null when it is unknown, revoked, expired or another user's. */
export async function checkAuthSession(
  db: Db,
  userId: string,
  sessionId: string,
  now: Date = new Date(),
): Promise<LiveSession | null> {
  if (!isUuid(userId) || !isUuid(sessionId)) return null;
  const row = await withTenant(db, userId, ({ tx }) =>
    tx.authSession.findFirst({
      where: { id: sessionId, userId, revokedAt: null, expiresAt: { gt: now } },
      include: { user: { omit: { passwordHash: true } } },
    }),
  );
  if (!row) return null;
  const { user, ...session } = row;
  return { session, user };
}

/** Newest first, live ones only. */
export function listAuthSessions({ tx, userId }: Tenant, now: Date = new Date()): Promise<AuthSession[]> {
  return tx.authSession.findMany({
    where: { userId, revokedAt: null, expiresAt: { gt: now } },
    orderBy: { createdAt: "desc" },
  });
}

/** Idempotent: false when there was no such live session. */
export async function revokeAuthSession(
  { tx, userId }: Tenant,
  sessionId: string,
  now: Date = new Date(),
): Promise<boolean> {
  if (!isUuid(sessionId)) return false;
  const { count } = await tx.authSession.updateMany({
    where: { id: sessionId, userId, revokedAt: null },
    data: { revokedAt: now },
  });
  return count === 1;
}

/** Ids of the sessions that were live, so that their connections can be ended too. */
export async function revokeAllAuthSessions(
  { tx, userId }: Tenant,
  now: Date = new Date(),
): Promise<string[]> {
  const rows = await tx.authSession.updateManyAndReturn({
    where: { userId, revokedAt: null },
    data: { revokedAt: now },
    select: { id: true },
  });
  return rows.map((row) => row.id);
}

/** Of all users, oldest first: what hosts are told again. Ids only. */
export function listEndedAuthSessions(db: Db, since: Date): Promise<Array<{ id: string; userId: string }>> {
  return db.$queryRaw<Array<{ id: string; userId: string }>>`
    SELECT id::text, user_id::text AS "userId" FROM ended_auth_sessions(${since})`;
}
