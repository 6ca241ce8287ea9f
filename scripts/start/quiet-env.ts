/** Variables that keep the tools from calling home; on closed networks those calls also cost seconds. */
const QUIET = {
  NEXT_TELEMETRY_DISABLED: "1",
  TURBO_TELEMETRY_DISABLED: "1",
  DO_NOT_TRACK: "1",
  CHECKPOINT_DISABLE: "1",
  PRISMA_HIDE_UPDATE_MESSAGE: "1",
};

/** Never inherited: each process gets its own, or none. */
const OURS = [
  "DATABASE_URL",
  "ATOLL_DATABASE_OWNER_URL",
  "ATOLL_OIDC_CLIENT_SECRET",
  "AUTH_SECRET",
  "AUTH_URL",
  "PORT",
  "HOSTNAME",
];

/** The caller's environment for a child process: with proxies and certificates, without secrets and telemetry. */
export function quietEnv(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, ...QUIET };
  for (const name of OURS) delete env[name];
  return env;
}
