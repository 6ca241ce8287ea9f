import { appendAudit } from "@atoll/db/audit";
import type { Db } from "@atoll/db/create-db";
import { createUser, type PublicUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import type { z } from "zod";
import type { signUpInput } from "#server/auth/credentials.schema.ts";
import { hashPassword } from "#server/auth/password.ts";
import type { RateLimiter } from "#server/auth/rate-limiter.ts";

export interface RegisterContext {
  db: Db;
  signUps: RateLimiter;
  address: string;
}

/** @throws AtollError auth.email_taken or request.rate_limited */
export async function registerUser(
  { db, signUps, address }: RegisterContext,
  { email, name, password }: z.output<typeof signUpInput>,
): Promise<PublicUser> {
  signUps.check(address);
  signUps.charge(address);
  const user = await createUser(db, { email, name, passwordHash: await hashPassword(password) });
  await withTenant(db, user.id, (tenant) =>
    appendAudit(tenant, { actor: `user:${user.id}`, action: "account.create", outcome: "ok" }),
  );
  return user;
}
