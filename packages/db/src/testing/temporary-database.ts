import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createDb, type Db } from "../create-db.ts";
import { startEmbeddedPostgres } from "../embedded-postgres.ts";
import { setRolePassword } from "../set-role-password.ts";

const MIGRATIONS = join(import.meta.dirname, "..", "..", "..", "..", "prisma", "migrations");
const DATABASE = "atoll_test";
const MANAGED_OWNER = "managed_owner";

export interface TemporaryDatabase extends AsyncDisposable {
  /** As the web app sees it. */
  db: Db;
  appUrl: string;
  /** Superuser: for planting rows and looking past row-level security. */
  ownerUrl: string;
  /** Everything the server writes: `data` with its tables and log of changes, `log`. */
  directory: string;
  /** As an operator takes a backup of the files, or puts one back: the server is down meanwhile. */
  whileStopped(work: () => Promise<void>): Promise<void>;
}

export interface TemporaryDatabaseOptions {
  /** True: every setting as in production. Slower. */
  isDurable?: boolean;
  /** As on a managed server: its owner may make databases and roles, and is no superuser. */
  isManaged?: boolean;
}

/** A real server in a temporary directory with the migrations applied; gone when disposed. About 1.5 s. */
export async function temporaryDatabase(options: TemporaryDatabaseOptions = {}): Promise<TemporaryDatabase> {
  const directory = mkdtempSync(join(tmpdir(), "atoll-db-"));
  chmodSync(directory, 0o711);
  const ownerPassword = randomBytes(24).toString("base64url");
  const appPassword = randomBytes(24).toString("base64url");
  const start = () =>
    startEmbeddedPostgres({ directory, ownerPassword, durable: options.isDurable ?? false });
  const server = await start();
  const ownerUrl = server.url({ user: "postgres", password: ownerPassword, database: DATABASE });
  const migratorUrl = options.isManaged
    ? server.url({ user: MANAGED_OWNER, password: appPassword, database: DATABASE })
    : ownerUrl;
  const appUrl = server.url({ user: "atoll_app", password: appPassword, database: DATABASE });
  await query(server.url({ user: "postgres", password: ownerPassword, database: "postgres" }), [
    `CREATE ROLE ${MANAGED_OWNER} LOGIN CREATEROLE PASSWORD '${appPassword}'`,
    `CREATE DATABASE ${DATABASE} OWNER ${options.isManaged ? MANAGED_OWNER : "postgres"}`,
  ]);
  await query(migratorUrl, migrationScripts());
  await setRolePassword({ ownerUrl, role: "atoll_app", password: appPassword });
  const db = createDb({ url: appUrl });
  return {
    db,
    appUrl,
    ownerUrl,
    directory,
    async whileStopped(work) {
      await db.$disconnect();
      await server.stop();
      await work();
      await start();
    },
    async [Symbol.asyncDispose]() {
      await db.$disconnect();
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function migrationScripts(): string[] {
  const entries = readdirSync(MIGRATIONS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return entries
    .map((entry) => entry.name)
    .sort()
    .map((name) => readFileSync(join(MIGRATIONS, name, "migration.sql"), "utf8"));
}

async function query(connectionString: string, statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
