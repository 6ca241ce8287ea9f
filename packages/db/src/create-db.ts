import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./generated/client.ts";

export type Db = PrismaClient;

export interface CreateDbOptions {
  /** Connection string of the role `atoll_app`; the owner's would bypass row-level security. */
  url: string;
  /** Bound of the pool. A request holds one connection for the milliseconds of its transaction. */
  maxConnections?: number;
}

/** Waiting this long for a free connection means the database is stuck, not busy. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A transaction is a handful of statements; past this it is holding locks others wait for. */
const TRANSACTION_TIMEOUT_MS = 15_000;

/** One client per process. `await db.$disconnect()` closes its pool. */
export function createDb({ url, maxConnections = 10 }: CreateDbOptions): Db {
  const adapter = new PrismaPg({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  return new PrismaClient({
    adapter,
    transactionOptions: { maxWait: CONNECT_TIMEOUT_MS, timeout: TRANSACTION_TIMEOUT_MS },
  });
}
