import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";

/** SQLSTATEs of a database or of Prisma's own table not existing yet. */
const NOTHING_APPLIED = new Set(["3D000", "42P01"]);

/**
 * Names of the migrations that the database has not finished, or finished with other contents. Reads Prisma's
 * own record in milliseconds, where its command line takes seconds: empty means nothing to deploy.
 */
export async function pendingMigrations(ownerUrl: string, migrationsDirectory: string): Promise<string[]> {
  const entries = await readdir(migrationsDirectory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const applied = await appliedChecksums(ownerUrl);
  const pending: string[] = [];
  for (const name of names.sort()) {
    const script = await readFile(join(migrationsDirectory, name, "migration.sql"));
    if (applied.get(name) !== createHash("sha256").update(script).digest("hex")) pending.push(name);
  }
  return pending;
}

async function appliedChecksums(ownerUrl: string): Promise<Map<string, string>> {
  const client = new pg.Client({ connectionString: ownerUrl });
  try {
    await client.connect();
    const { rows } = await client.query<{ migration_name: string; checksum: string }>(
      "SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL",
    );
    return new Map(rows.map((row) => [row.migration_name, row.checksum]));
  } catch (error) {
    if (error instanceof pg.DatabaseError && NOTHING_APPLIED.has(error.code ?? "")) return new Map();
    throw error;
  } finally {
    await client.end().catch(() => {});
  }
}
