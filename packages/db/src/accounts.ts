import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { findUserIdByAccount } from "./auth-queries.ts";
import type { Db } from "./create-db.ts";
import { isUniqueViolation } from "./is-unique-violation.ts";
import { insertUser } from "./users.ts";
import { type Tenant, withTenant } from "./with-tenant.ts";

export interface ProviderIdentity {
  provider: string;
  /** The `sub` claim: the only claim a provider promises never to reassign. */
  providerAccountId: string;
  email: string;
  name: string;
}

/**
 * The user behind an identity, made on the first sign-in. An address that already has an account is refused
 * with `auth.email_taken` and never linked by itself: whoever controls a provider could take accounts over.
 */
export async function signInWithAccount(db: Db, identity: ProviderIdentity): Promise<string> {
  const { provider, providerAccountId } = identity;
  const known = await findUserIdByAccount(db, provider, providerAccountId);
  if (known) return known;
  const userId = randomUUID();
  try {
    await withTenant(db, userId, async (tenant) => {
      await insertUser(tenant, { email: identity.email, name: identity.name, passwordHash: null });
      await linkAccount(tenant, provider, providerAccountId);
    });
    return userId;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    // Two first sign-ins at once: the loser's transaction is undone and it finds the winner's row.
    const winner = await findUserIdByAccount(db, provider, providerAccountId);
    if (winner) return winner;
    throw new AtollError("auth.email_taken", undefined, { cause: error });
  }
}

/** Links a further identity to a signed-in user. */
export async function linkAccount(
  { tx, userId }: Tenant,
  provider: string,
  providerAccountId: string,
): Promise<void> {
  await tx.account.create({ data: { provider, providerAccountId, userId }, select: { userId: true } });
}
