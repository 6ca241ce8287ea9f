import { appendSystemAudit } from "@atoll/db/audit";
import { findUserByEmail, type SignInCandidate } from "@atoll/db/auth-queries";
import type { Db } from "@atoll/db/create-db";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { z } from "zod";
import type { signInInput } from "#server/auth/credentials.schema.ts";
import { verifyPassword } from "#server/auth/password.ts";
import type { RateLimiter } from "#server/auth/rate-limiter.ts";

export interface SignInContext {
  db: Db;
  accountFailures: RateLimiter;
  addressFailures: RateLimiter;
  /** Network address of the caller. */
  address: string;
}

/**
 * The account whose password this is. Unknown address and wrong password fail alike and take alike long.
 * Only failures are charged, so nobody is locked out by signing in often.
 * @throws AtollError auth.invalid_credentials or request.rate_limited
 */
export async function verifySignIn(
  context: SignInContext,
  { email, password }: z.output<typeof signInInput>,
): Promise<SignInCandidate> {
  const { db, accountFailures, addressFailures, address } = context;
  addressFailures.check(address);
  accountFailures.check(email);
  // Charged before the slow check, or parallel guesses would all pass the door first.
  addressFailures.charge(address);
  accountFailures.charge(email);
  const candidate = await findUserByEmail(db, email);
  const isRight = await verifyPassword(candidate?.passwordHash ?? null, password);
  if (!candidate || !isRight) {
    // The log outlives accounts, so an address is never written into it.
    const actor = candidate ? `user:${candidate.id}` : "unknown";
    await appendSystemAudit(db, { actor, action: "auth.sign_in", outcome: "denied" });
    throw new AtollError("auth.invalid_credentials");
  }
  accountFailures.forget(email);
  addressFailures.refund(address);
  return candidate;
}
