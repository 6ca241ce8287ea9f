import type { Db } from "./create-db.ts";

/**
 * The two look-ups that run before a user is known. Both go through functions of the database that take one
 * exact key; the app's role has no other way to a row of an unknown user.
 */
export interface SignInCandidate {
  id: string;
  email: string;
  name: string;
  /** Null when the account only signs in through an identity provider. */
  passwordHash: string | null;
}

export async function findUserByEmail(db: Db, email: string): Promise<SignInCandidate | null> {
  const rows = await db.$queryRaw<SignInCandidate[]>`
    SELECT id::text, email, name, password_hash AS "passwordHash" FROM auth_user_by_email(${email})`;
  return rows[0] ?? null;
}

export async function findUserIdByAccount(
  db: Db,
  provider: string,
  providerAccountId: string,
): Promise<string | null> {
  const rows = await db.$queryRaw<Array<{ userId: string | null }>>`
    SELECT auth_user_id_by_account(${provider}, ${providerAccountId})::text AS "userId"`;
  return rows[0]?.userId ?? null;
}
