/** A backup of the database's rows taken in the middle of a run, and put back over what happened since. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDb, type Db } from "@atoll/db/create-db";
import { z } from "zod";
import type { RunningStack } from "./running-stack.ts";

const services = z.object({ web: z.object({ pid: z.number() }) });

/** Answers what puts exactly these rows back. The server stays up: its keeper starts one that is down within a second. */
export async function backUpDatabase(stack: RunningStack): Promise<() => Promise<void>> {
  await withOwner(stack, (db) =>
    db.$transaction([db.$executeRawUnsafe(BACKUP)], { isolationLevel: "RepeatableRead" }),
  );
  return () =>
    withOwner(stack, async (db) => {
      await db.$executeRawUnsafe(RESTORE);
    });
}

const EVERY_TABLE = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";

const BACKUP = `
DO $$ DECLARE name text;
BEGIN
  CREATE SCHEMA backup;
  FOR name IN ${EVERY_TABLE} LOOP
    EXECUTE format('CREATE TABLE backup.%1$I AS TABLE public.%1$I', name);
  END LOOP;
END $$`;

/** Nobody else's statement survives it, and no trigger, cascade or refusal of the schema has a say. */
const RESTORE = `
DO $$ DECLARE name text;
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
  SET LOCAL session_replication_role = replica;
  FOR name IN ${EVERY_TABLE} LOOP
    EXECUTE format('LOCK TABLE public.%I', name);
  END LOOP;
  FOR name IN ${EVERY_TABLE} LOOP
    EXECUTE format('DELETE FROM public.%I', name);
    EXECUTE format('INSERT INTO public.%1$I OVERRIDING SYSTEM VALUE TABLE backup.%1$I', name);
  END LOOP;
  DROP SCHEMA backup CASCADE;
END $$`;

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
