import type { LiveSession } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { getPasswordHash, normalizeEmail } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError } from "@atoll/protocol/atoll-error";
import { verifyPassword } from "#server/auth/password.ts";
import type { RateLimiter } from "#server/auth/rate-limiter.ts";

/** An account without a password proves itself by a sign-in this fresh. */
const FRESH_SIGN_IN_MS = 10 * 60_000;

export interface ConfirmIdentityContext {
  db: Db;
  accountFailures: RateLimiter;
  now: number;
}

/**
 * Asked before what cannot be undone.
 * @throws AtollError request.invalid (wrong address typed), auth.invalid_credentials, auth.required (sign in anew)
 */
export async function confirmIdentity(
  { db, accountFailures, now }: ConfirmIdentityContext,
  { session, user }: LiveSession,
  typed: { email: string; password: string },
): Promise<void> {
  if (normalizeEmail(typed.email) !== user.email) {
    throw new AtollError("request.invalid", "typed address differs", { details: { field: "email" } });
  }
  const passwordHash = await withTenant(db, user.id, getPasswordHash);
  if (passwordHash === null) {
    if (now - session.createdAt.getTime() < FRESH_SIGN_IN_MS) return;
    throw new AtollError("auth.required", "sign-in is not fresh", { details: { field: "session" } });
  }
  accountFailures.check(user.email);
  accountFailures.charge(user.email);
  if (!(await verifyPassword(passwordHash, typed.password))) throw new AtollError("auth.invalid_credentials");
  accountFailures.forget(user.email);
}
