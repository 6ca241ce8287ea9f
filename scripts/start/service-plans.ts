import { join } from "node:path";
import type { StartEnv } from "./env.ts";
import { getJson } from "./get-json.ts";
import { type Layout, repository } from "./layout.ts";
import { quietEnv } from "./quiet-env.ts";
import type { Secrets } from "./secrets.ts";
import type { ServiceOptions } from "./service.ts";

export type ServiceName = "hostd" | "gateway" | "web";
export type ServicePlan = Pick<ServiceOptions, "argv" | "cwd" | "env" | "isHealthy"> & { name: ServiceName };

export interface ServicePlansOptions {
  env: StartEnv;
  layout: Layout;
  secrets: Secrets;
  webUrl: string;
  /** Role `atoll_app`. */
  databaseUrl: string;
  health: (signal: AbortSignal) => Promise<{ ok: boolean }>;
}

/** What each process is started with. Each validates its own variables; only web gets the database and the private keys. */
export function servicePlans(options: ServicePlansOptions): Record<ServiceName, ServicePlan> {
  const { env, layout, secrets, webUrl, databaseUrl, health } = options;
  const shared = {
    ...quietEnv(),
    NODE_ENV: "production",
    ATOLL_DATA: layout.data,
    ATOLL_CACHE: env.cacheDirectory,
    ATOLL_WEB_URL: webUrl,
    ATOLL_GATEWAY_PORT: String(env.ports.gateway),
    ATOLL_PREVIEW_PORT: String(env.ports.preview),
    ATOLL_HOSTD_SOCKET: layout.hostdSocket,
    ATOLL_LINK_SOCKET: layout.linkSocket,
    ATOLL_TICKET_PUBLIC_KEY_FILE: secrets.ticketPublicKeyFile,
    ATOLL_IDLE_PAUSE_SECONDS: String(env.idlePauseSeconds),
  };
  const webSecrets = {
    DATABASE_URL: databaseUrl,
    AUTH_SECRET: secrets.authSecret,
    AUTH_URL: webUrl,
    ...(env.oidcClientSecret ? { ATOLL_OIDC_CLIENT_SECRET: env.oidcClientSecret } : {}),
    ATOLL_TICKET_PRIVATE_KEY_FILE: secrets.ticketPrivateKeyFile,
    ATOLL_RECEIPT_PRIVATE_KEY_FILE: secrets.receiptPrivateKeyFile,
    ATOLL_RECEIPT_PUBLIC_KEY_FILE: secrets.receiptPublicKeyFile,
  };
  const source = (app: string) => join(repository, "apps", app);
  const next = join(repository, "node_modules", "next", "dist", "bin", "next");
  return {
    hostd: {
      name: "hostd",
      argv: [join(source("hostd"), "src", "main.ts")],
      cwd: source("hostd"),
      env: shared,
      isHealthy: async (until) => (await health(until)).ok,
    },
    gateway: {
      name: "gateway",
      argv: [join(source("gateway"), "src", "main.ts")],
      cwd: source("gateway"),
      env: shared,
      isHealthy: (until) => answers(env.ports.gateway, until),
    },
    web: {
      name: "web",
      argv: [next, "start", "--port", String(env.ports.web), "--hostname", "127.0.0.1"],
      cwd: source("web"),
      env: { ...shared, ...webSecrets },
      isHealthy: (until) => answers(env.ports.web, until),
    },
  };
}

async function answers(port: number, signal: AbortSignal): Promise<boolean> {
  return (await getJson({ port, path: "/healthz" }, signal)) !== undefined;
}
