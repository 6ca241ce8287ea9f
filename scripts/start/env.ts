import { join, resolve } from "node:path";
import { z } from "zod";
import { StepFailure } from "../bootstrap/progress.mjs";

/** Everything `npm start` takes from its environment; the README's table is written from it. */
const port = z.coerce.number().int().min(1).max(65_535);

const schema = z.object({
  /** Set by scripts/start.mjs when the caller did not. */
  ATOLL_DATA: z.string().min(1),
  ATOLL_CACHE: z.string().min(1).optional(),
  ATOLL_WEB_PORT: port.default(7700),
  ATOLL_GATEWAY_PORT: port.default(7701),
  ATOLL_PREVIEW_PORT: port.default(7702),
  /** Last tab closed → paused. */
  ATOLL_IDLE_PAUSE_SECONDS: z.coerce.number().int().min(1).max(604_800).default(1_800),
  /** Owner of a database elsewhere (Postgres 15 or newer). Unset: the one that npm brings. */
  ATOLL_DATABASE_OWNER_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  /** Of the OpenID Connect provider; for web alone. */
  ATOLL_OIDC_CLIENT_SECRET: z.string().optional(),
  /** A native engine; unset: scripts/prisma-schema-engine.mjs. */
  PRISMA_SCHEMA_ENGINE_BINARY: z.string().min(1).optional(),
});

export interface StartEnv {
  dataDirectory: string;
  /** Content-addressed: may be shared by several data directories. */
  cacheDirectory: string;
  ports: { web: number; gateway: number; preview: number };
  idlePauseSeconds: number;
  databaseOwnerUrl: string | undefined;
  oidcClientSecret: string | undefined;
  nativeSchemaEngine: string | undefined;
}

/** Throws one error that names every fault. */
export function readEnv(source: NodeJS.ProcessEnv): StartEnv {
  const parsed = schema.safeParse(source);
  if (!parsed.success) throw refusal(`the environment is not usable:\n${z.prettifyError(parsed.error)}`);
  const env = parsed.data;
  const ports = { web: env.ATOLL_WEB_PORT, gateway: env.ATOLL_GATEWAY_PORT, preview: env.ATOLL_PREVIEW_PORT };
  if (new Set(Object.values(ports)).size < 3)
    throw refusal("web, gateway and preview need three different ports");
  const dataDirectory = resolve(env.ATOLL_DATA);
  return {
    dataDirectory,
    cacheDirectory: env.ATOLL_CACHE ? resolve(env.ATOLL_CACHE) : join(dataDirectory, "cache"),
    ports,
    idlePauseSeconds: env.ATOLL_IDLE_PAUSE_SECONDS,
    databaseOwnerUrl: env.ATOLL_DATABASE_OWNER_URL,
    oidcClientSecret: env.ATOLL_OIDC_CLIENT_SECRET,
    nativeSchemaEngine: env.PRISMA_SCHEMA_ENGINE_BINARY,
  };
}

function refusal(message: string): StepFailure {
  return new StepFailure(message, {
    remedy: "Correct or unset the variables named; README.md, Settings, says what each takes.",
  });
}
