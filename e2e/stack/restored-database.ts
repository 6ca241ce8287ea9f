/** A backup of the database taken in the middle of a run, and put back over what happened since. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDb, type Db } from "@atoll/db/create-db";
import { z } from "zod";
import type { RunningStack } from "./running-stack.ts";

/** In the order in which rows can be inserted. */
const TABLES = ["users", "auth_sessions", "workspaces", "tombstones", "erasure_receipts"];
const services = z.object({ web: z.object({ pid: z.number() }) });

/** Answers what puts exactly these rows back, tombstones of later erasures left out as in any older backup. */
export async function backUpDatabase(stack: RunningStack): Promise<() => Promise<void>> {
  const rows = new Map<string, unknown[]>();
  await withOwner(stack, async (db) => {
    for (const table of TABLES) {
      const query = `SELECT row_to_json(t) AS row FROM ${table} t`;
      const found = await db.$queryRawUnsafe<Array<{ row: unknown }>>(query);
      rows.set(
        table,
        found.map(({ row }) => row),
      );
    }
  });
  return () =>
    withOwner(stack, async (db) => {
      for (const table of TABLES.toReversed()) await db.$executeRawUnsafe(`DELETE FROM ${table}`);
      for (const [table, all] of rows) {
        const insert = `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1::json)`;
        await db.$executeRawUnsafe(insert, JSON.stringify(all));
      }
    });
}

export async function countUsers(stack: RunningStack, email: string): Promise<number> {
  return withOwner(stack, (db) => db.user.count({ where: { email } }));
}

/** Ends web as a power cut would; its supervisor starts it again. */
export async function killWeb(stack: RunningStack): Promise<void> {
  const text = await readFile(join(stack.dataDirectory, "run", "services.json"), "utf8");
  process.kill(services.parse(JSON.parse(text)).web.pid, "SIGKILL");
}

async function withOwner<T>(stack: RunningStack, work: (db: Db) => Promise<T>): Promise<T> {
  const db = createDb({ url: stack.databaseOwnerUrl });
  try {
    return await work(db);
  } finally {
    await db.$disconnect();
  }
}
