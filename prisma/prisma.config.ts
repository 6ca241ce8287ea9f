import { defineConfig } from "prisma/config";

/** Run from the repository root: `prisma <command> --config prisma/prisma.config.ts`. */
export default defineConfig({
  schema: "schema.prisma",
  migrations: { path: "migrations" },
  // Commands that need no database (generate, validate) run without the variable.
  datasource: { url: process.env.DATABASE_URL ?? "postgresql://unset" },
});
