import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Db } from "./create-db.ts";
import type { User } from "./generated/client.ts";
import { isUniqueViolation } from "./is-unique-violation.ts";
import { type Tenant, withTenant } from "./with-tenant.ts";

/** What may leave the server: everything but the password hash. */
export type PublicUser = Omit<User, "passwordHash">;

export interface NewUser {
  email: string;
  name: string;
  /** Argon2 encoded hash, or null for an account of an identity provider. */
  passwordHash: string | null;
}

export function normalizeEmail(email: string): string {
  return email.trim().toLowerCase();
}

/** Plan `free`, role `user`; a policy refuses anything else. Throws `auth.email_taken`. */
export async function createUser(db: Db, user: NewUser): Promise<PublicUser> {
  const id = randomUUID();
  try {
    return await withTenant(db, id, (tenant) => insertUser(tenant, user));
  } catch (error) {
    if (isUniqueViolation(error)) throw new AtollError("auth.email_taken", undefined, { cause: error });
    throw error;
  }
}

/** Inserts the row of the tenant itself, for callers that write more in the same transaction. */
export function insertUser(
  { tx, userId }: Tenant,
  { email, name, passwordHash }: NewUser,
): Promise<PublicUser> {
  return tx.user.create({
    data: { id: userId, email: normalizeEmail(email), name: name.trim(), passwordHash },
    omit: { passwordHash: true },
  });
}

export function getUser({ tx, userId }: Tenant): Promise<PublicUser | null> {
  return tx.user.findUnique({ where: { id: userId }, omit: { passwordHash: true } });
}

/** For asking the password again before something that cannot be undone. */
export async function getPasswordHash({ tx, userId }: Tenant): Promise<string | null> {
  const row = await tx.user.findUnique({ where: { id: userId }, select: { passwordHash: true } });
  return row?.passwordHash ?? null;
}

/** Last step of erasing an account: sign-ins, provider links and workspace rows go with it. Idempotent. */
export async function deleteUser({ tx, userId }: Tenant): Promise<void> {
  await tx.user.deleteMany({ where: { id: userId } });
}
