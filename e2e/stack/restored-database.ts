/** A backup of the database's files taken in the middle of a run, and put back over what happened since. */
import { execFile } from "node:child_process";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createDb, type Db } from "@atoll/db/create-db";
import { startEmbeddedPostgres } from "@atoll/db/embedded-postgres";
import { z } from "zod";
import type { RunningStack } from "./running-stack.ts";

const services = z.object({ web: z.object({ pid: z.number() }) });

/** Answers what puts exactly these files back. The server is down while they are copied, as it has to be. */
export async function backUpDatabase(stack: RunningStack): Promise<() => Promise<void>> {
  const data = join(stack.dataDirectory, "postgres", "data");
  const copy = join(stack.dataDirectory, "postgres", "backup");
  await whileStopped(stack, async () => {
    await promisify(execFile)("cp", ["-a", data, copy]);
  });
  return () =>
    whileStopped(stack, async () => {
      await rm(data, { recursive: true });
      await rename(copy, data);
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

async function whileStopped(stack: RunningStack, work: () => Promise<void>): Promise<void> {
  const server = () =>
    startEmbeddedPostgres({
      directory: join(stack.dataDirectory, "postgres"),
      ownerPassword: decodeURIComponent(new URL(stack.databaseOwnerUrl).password),
      durable: false,
    });
  await (await server()).stop();
  await work();
  await server();
}

async function withOwner<T>(stack: RunningStack, work: (db: Db) => Promise<T>): Promise<T> {
  const db = createDb({ url: stack.databaseOwnerUrl });
  try {
    return await work(db);
  } finally {
    await db.$disconnect();
  }
}
