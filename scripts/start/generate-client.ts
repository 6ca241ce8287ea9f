import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runLogged } from "../bootstrap/run-logged.mjs";
import { repository } from "./layout.ts";
import { quietEnv } from "./quiet-env.ts";

const GENERATED = join(repository, "packages", "db", "src", "generated");
const STAMP = join(GENERATED, ".inputs");
const SCHEMA = join(repository, "prisma", "schema.prisma");
const PRISMA = join(repository, "node_modules", "prisma");

/** The typed database client, made again only when the schema or Prisma changed. */
export async function generateClient(logs: string, signal: AbortSignal): Promise<string> {
  const inputs = createHash("sha256");
  for (const path of [SCHEMA, join(PRISMA, "package.json")]) inputs.update(readFileSync(path));
  const wanted = inputs.digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return "unchanged";
  const config = join(repository, "prisma", "prisma.config.ts");
  await runLogged([process.execPath, join(PRISMA, "build", "index.js"), "generate", "--config", config], {
    cwd: repository,
    // Generating needs no schema engine, but the command line looks for one before it looks at its arguments.
    env: { ...quietEnv(), PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true" },
    log: join(logs, "prisma-generate.log"),
    remedy:
      "Prisma's own message is above. If files are missing, delete node_modules and run the same command again.",
    signal,
  });
  writeFileSync(STAMP, wanted);
  return "generated";
}
