import { join } from "node:path";
import { startEmbeddedPostgres } from "@atoll/db/embedded-postgres";
import { pendingMigrations } from "@atoll/db/pending-migrations";
import { setRolePassword } from "@atoll/db/set-role-password";
import { runLogged } from "../bootstrap/run-logged.mjs";
import { embeddedFailure, externalFailure } from "./database-failure.ts";
import { DatabaseKeeper } from "./database-keeper.ts";
import { type Layout, repository } from "./layout.ts";
import { identify } from "./process-identity.ts";
import { quietEnv } from "./quiet-env.ts";
import type { Secrets } from "./secrets.ts";

const DATABASE = "atoll";
const APP_ROLE = "atoll_app";
const MIGRATIONS = join(repository, "prisma", "migrations");

export interface DatabaseOptions {
  layout: Layout;
  secrets: Secrets;
  /** Of a server elsewhere; unset: the embedded one is started, or adopted if it still runs. */
  ownerUrl: string | undefined;
  nativeSchemaEngine: string | undefined;
  /** False only for tests. */
  durable: boolean;
  signal: AbortSignal;
  report: (detail: string) => void;
  /** Of what happens to it later. */
  onNote: (text: string) => void;
}

export interface Database {
  /** Role `atoll_app`: under row-level security. For the web app. */
  appUrl: string;
  ownerUrl: string;
  /** How many migrations were applied now. */
  migrated: number;
  /** Of the embedded server. */
  pid(): number | undefined;
  stop(): Promise<void>;
}

/** A server with the schema of this checkout. The embedded one is started again when it ends, until `stop`. */
export async function provideDatabase(options: DatabaseOptions): Promise<Database> {
  const { layout, secrets, report, signal } = options;
  const start = () =>
    startEmbeddedPostgres({
      directory: layout.postgres,
      ownerPassword: secrets.postgresOwnerPassword,
      durable: options.durable,
    }).catch((cause: unknown) => {
      throw embeddedFailure(layout, cause);
    });
  const server = options.ownerUrl ? undefined : await start();
  const login = { user: "postgres", password: secrets.postgresOwnerPassword, database: DATABASE };
  const ownerUrl = options.ownerUrl ?? server?.url(login) ?? "";
  const unusable = (cause: unknown): never => {
    throw options.ownerUrl === undefined ? cause : externalFailure(options.ownerUrl, cause);
  };
  try {
    const pending = await pendingMigrations(ownerUrl, MIGRATIONS).catch(unusable);
    if (pending.length > 0) {
      report(`applying ${pending.length} migrations`);
      await migrate(ownerUrl, options.nativeSchemaEngine, layout.logs, signal);
    }
    await setRolePassword({ ownerUrl, role: APP_ROLE, password: secrets.postgresAppPassword }).catch(
      unusable,
    );
    const appUrl = withLogin(ownerUrl, APP_ROLE, secrets.postgresAppPassword);
    const pid = () => server?.pid();
    const keeper =
      server &&
      new DatabaseKeeper({
        start: async () => void (await start()),
        find: () => identify(pid() ?? 0),
        onNote: options.onNote,
      });
    const stop = async () => {
      await keeper?.close();
      await server?.stop();
    };
    return { appUrl, ownerUrl, migrated: pending.length, pid, stop };
  } catch (error) {
    await server?.stop();
    throw error;
  }
}

async function migrate(
  ownerUrl: string,
  nativeEngine: string | undefined,
  logs: string,
  signal: AbortSignal,
): Promise<void> {
  const engine = nativeEngine ?? join(repository, "scripts", "prisma-schema-engine.mjs");
  const cli = join(repository, "node_modules", "prisma", "build", "index.js");
  const config = join(repository, "prisma", "prisma.config.ts");
  await runLogged([process.execPath, cli, "migrate", "deploy", "--config", config], {
    cwd: repository,
    env: { ...quietEnv(), DATABASE_URL: ownerUrl, PRISMA_SCHEMA_ENGINE_BINARY: engine },
    log: join(logs, "migrate.log"),
    remedy:
      "The migration's own message is above. Nothing was started; the database is as the last line says.",
    signal,
  });
}

function withLogin(url: string, user: string, password: string): string {
  const login = new URL(url);
  login.username = user;
  login.password = encodeURIComponent(password);
  return login.toString();
}
