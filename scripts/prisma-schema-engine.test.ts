import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createDb } from "@atoll/db/create-db";
import { pendingMigrations } from "@atoll/db/pending-migrations";
import { setPlan } from "@atoll/db/set-plan";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { createUser, getUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const repository = join(import.meta.dirname, "..");
const migrations = join(repository, "prisma", "migrations");
const engine = join(repository, "scripts", "prisma-schema-engine.mjs");
const execute = promisify(execFile);

let server: TemporaryDatabase;
let workspace: string;

beforeAll(async () => {
  server = await temporaryDatabase();
  // Inside the repository, so that a copied config file still finds the `prisma` package.
  mkdirSync(join(repository, "node_modules", ".cache"), { recursive: true });
  workspace = mkdtempSync(join(repository, "node_modules", ".cache", "prisma-test-"));
  cpSync(join(repository, "prisma"), workspace, { recursive: true });
});

afterAll(async () => {
  rmSync(workspace, { recursive: true, force: true });
  await server[Symbol.asyncDispose]();
});

const urlOf = (database: string) => {
  const url = new URL(server.ownerUrl);
  url.pathname = `/${database}`;
  return url.toString();
};

/** Exit code and everything printed; never throws, so that refusals can be looked at. */
async function prisma(databaseUrl: string, ...argv: string[]): Promise<{ code: unknown; output: string }> {
  const config = ["--config", join(workspace, "prisma.config.ts")];
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    PRISMA_SCHEMA_ENGINE_BINARY: engine,
    PRISMA_HIDE_UPDATE_MESSAGE: "1",
    CHECKPOINT_DISABLE: "1",
  };
  const binary = join(repository, "node_modules", ".bin", "prisma");
  try {
    const { stdout, stderr } = await execute(binary, [...argv, ...config], { cwd: repository, env });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

const tablesOf = async (database: string) => {
  const client = new pg.Client({ connectionString: urlOf(database) });
  await client.connect();
  const { rows } = await client.query(
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
  );
  await client.end();
  return rows.map((row) => row.tablename as string);
};

describe("the schema engine stand-in", () => {
  it("deploys for an owner that is no superuser, as on a hosted Postgres, who can then change plans", async () => {
    const client = new pg.Client({ connectionString: server.ownerUrl });
    await client.connect();
    await client.query("CREATE ROLE hosted LOGIN CREATEROLE PASSWORD 'hosted'");
    // The roles exist on this server already; a hosted owner made them, or was made their administrator.
    await client.query("GRANT atoll_app, atoll_auth TO hosted WITH ADMIN OPTION");
    await client.query("CREATE DATABASE hosted OWNER hosted");
    await client.end();
    const url = new URL(urlOf("hosted"));
    url.username = "hosted";
    url.password = "hosted";
    expect(await prisma(url.toString(), "migrate", "deploy")).toMatchObject({ code: 0 });

    const appUrl = new URL(server.appUrl);
    appUrl.pathname = "/hosted";
    const db = createDb({ url: appUrl.toString() });
    const { id } = await createUser(db, { email: "ada@example.test", name: "Ada", passwordHash: null });
    expect(await setPlan(url.toString(), "ada@example.test", "team")).toBe(true);
    expect(await withTenant(db, id, getUser)).toMatchObject({ plan: "team" });
    await db.$disconnect();
  }, 120_000);

  it("creates the database, deploys every migration once, and then has nothing to do", async () => {
    const url = urlOf("deployed");
    expect(await pendingMigrations(url, migrations)).not.toEqual([]);
    expect(await prisma(url, "migrate", "deploy")).toMatchObject({ code: 0 });
    expect(await tablesOf("deployed")).toContain("workspaces");
    expect(await pendingMigrations(url, migrations)).toEqual([]);
    expect((await prisma(url, "migrate", "deploy")).output).toContain("No pending migrations");
    expect((await prisma(url, "migrate", "status")).output).toContain("up to date");
  }, 120_000);

  it("finds no difference between the migrations and the schema", async () => {
    const { code, output } = await prisma(
      urlOf("deployed"),
      "migrate",
      "diff",
      "--from-migrations",
      join(workspace, "migrations"),
      "--to-schema",
      join(workspace, "schema.prisma"),
      "--exit-code",
    );
    expect(output).toContain("No difference detected");
    expect(code).toBe(0);
  }, 120_000);

  it("reports a migration whose file was changed after it was applied", async () => {
    const copy = join(workspace, "changed");
    cpSync(migrations, copy, { recursive: true });
    const [name = ""] = await pendingMigrations(urlOf("absent"), migrations);
    writeFileSync(join(copy, name, "migration.sql"), "SELECT 1;");
    expect(await pendingMigrations(urlOf("deployed"), copy)).toEqual([name]);
  });

  it("says by its code what is wrong with a connection", async () => {
    const wrong = new URL(urlOf("deployed"));
    wrong.password = "wrong";
    const refused = await prisma(wrong.toString(), "migrate", "deploy");
    expect(refused.output).toContain("P1000");
    expect(refused.code).toBe(1);
    wrong.searchParams.set("host", join(tmpdir(), "no-server-here"));
    const absent = await prisma(wrong.toString(), "migrate", "deploy");
    expect(absent.output).toContain("P1001");
  }, 120_000);

  it("applies a failing script as a whole or not at all, and leaves no shadow database behind", async () => {
    const broken = join(workspace, "migrations", "20990101000000_broken");
    mkdirSync(broken);
    writeFileSync(join(broken, "migration.sql"), "CREATE TABLE left_over (id int); SELECT 1 / 0;");
    const { code } = await prisma(urlOf("deployed"), "migrate", "deploy");
    expect(code).toBe(1);
    expect(await tablesOf("deployed")).not.toContain("left_over");
    const differ = await prisma(
      urlOf("deployed"),
      "migrate",
      "diff",
      "--from-migrations",
      join(workspace, "migrations"),
      "--to-schema",
      join(workspace, "schema.prisma"),
    );
    expect(differ.code).toBe(1);
    const client = new pg.Client({ connectionString: urlOf("deployed") });
    await client.connect();
    const { rows } = await client.query(
      "SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%'",
    );
    await client.end();
    expect(rows).toEqual([]);
  }, 120_000);
});
