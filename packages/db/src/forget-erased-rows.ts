import type { Db } from "./create-db.ts";

export interface ForgottenRows {
  /** Erasures whose deleted rows were still in the server's files. */
  waiting: number;
  /** Of these, those whose rows are no longer there; the others are for a later call. */
  forgotten: number;
}

/** Writing the tables anew takes seconds for a million rows. */
const TIMEOUT_MS = 600_000;

/**
 * Takes rows that erasures deleted out of the server's files. Everybody waits while the tables are written, so it gives up
 * when it cannot have them at once, sooner than a deadlock would be looked for.
 */
export async function forgetErasedRows(db: Db): Promise<ForgottenRows> {
  return db.$transaction(
    async (tx) => {
      await tx.$executeRawUnsafe("SET LOCAL lock_timeout = '500ms'");
      await tx.$executeRawUnsafe(`SET LOCAL statement_timeout = ${TIMEOUT_MS}`);
      const rows = await tx.$queryRaw<ForgottenRows[]>`SELECT waiting, forgotten FROM forget_erased_rows()`;
      return rows[0] ?? { waiting: 0, forgotten: 0 };
    },
    { timeout: TIMEOUT_MS },
  );
}
