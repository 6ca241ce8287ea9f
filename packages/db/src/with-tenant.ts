import { AtollError } from "@atoll/protocol/atoll-error";
import type { Db } from "./create-db.ts";
import type { Prisma } from "./generated/client.ts";

/** An open transaction that sees one user's rows and no others. Only `withTenant` makes one. */
export interface Tenant {
  readonly userId: string;
  readonly tx: Prisma.TransactionClient;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** For ids that come from outside: Postgres answers a malformed one with a fault, not with "no row". */
export function isUuid(value: string): boolean {
  return UUID.test(value);
}

/**
 * Runs `work` in one transaction under row-level security for `userId`. The setting dies with the transaction,
 * so a pooled connection carries nothing over. Take the id from a verified session only; never keep the
 * tenant past the call, and do not wait for anything but the database inside it.
 */
export async function withTenant<T>(
  db: Db,
  userId: string,
  work: (tenant: Tenant) => Promise<T>,
): Promise<T> {
  if (!isUuid(userId)) throw new AtollError("request.invalid", "a tenant id must be a lower-case UUID");
  return db.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT set_config('app.user_id', ${userId}, true)`;
    return work({ userId, tx });
  });
}
