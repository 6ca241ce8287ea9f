/** The web process's configuration. Read once, on first use: `next build` evaluates modules without any of it. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const port = z.coerce.number().int().min(1).max(65_535);
const httpUrl = z.url({ protocol: /^https?$/ });

const schema = z
  .object({
    DATABASE_URL: z.string().min(1),
    /** Where people open the application. Its origin is the only one allowed to change anything. */
    ATOLL_WEB_URL: httpUrl,
    ATOLL_GATEWAY_PORT: port.default(7001),
    /** Public address of the gateway when it is not the web host with ATOLL_GATEWAY_PORT. */
    ATOLL_GATEWAY_URL: httpUrl.optional(),
    ATOLL_PREVIEW_PORT: port.default(7002),
    /** Previews live on `<port>-<slug>.<this>`. */
    ATOLL_PREVIEW_DOMAIN: z
      .string()
      .regex(/^[a-z0-9.-]{1,200}$/)
      .default("preview.localhost"),
    ATOLL_HOSTD_SOCKET: z.string().min(1),
    /** PKCS #8 PEM of an Ed25519 key. */
    ATOLL_TICKET_PRIVATE_KEY_FILE: z.string().min(1),
    /** PKCS #8 and SPKI PEM of the Ed25519 key that signs erasure receipts. */
    ATOLL_RECEIPT_PRIVATE_KEY_FILE: z.string().min(1),
    ATOLL_RECEIPT_PUBLIC_KEY_FILE: z.string().min(1),
    /** How long backups of the database are kept; receipts state it. Unset: they state nothing. */
    ATOLL_BACKUP_HORIZON_DAYS: z.coerce.number().int().min(0).max(36_500).optional(),
    AUTH_SECRET: z.string().min(32).optional(),
    AUTH_SECRET_FILE: z.string().min(1).optional(),
    ATOLL_IDLE_PAUSE_SECONDS: z.coerce.number().int().min(1).max(604_800).default(1800),
    ATOLL_OIDC_ISSUER: httpUrl.optional(),
    ATOLL_OIDC_CLIENT_ID: z.string().min(1).optional(),
    ATOLL_OIDC_CLIENT_SECRET: z.string().min(1).optional(),
    ATOLL_OIDC_NAME: z.string().min(1).max(40).default("Single sign-on"),
    /** Addresses of reverse proxies, comma separated: who connects from one is whom its X-Forwarded-For names. */
    ATOLL_TRUSTED_PROXIES: z
      .string()
      .default("")
      .transform((list) => list.split(",").flatMap((entry) => entry.trim() || []))
      .pipe(z.array(z.union([z.ipv4(), z.ipv6()]))),
    ATOLL_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  })
  .check((context) => {
    const value = context.value;
    const fault = (path: string, message: string) =>
      context.issues.push({ code: "custom", path: [path], message, input: undefined });
    if (value.AUTH_SECRET === undefined && value.AUTH_SECRET_FILE === undefined)
      fault("AUTH_SECRET", "set AUTH_SECRET or AUTH_SECRET_FILE");
    const oidc = [value.ATOLL_OIDC_ISSUER, value.ATOLL_OIDC_CLIENT_ID, value.ATOLL_OIDC_CLIENT_SECRET];
    if (oidc.some(Boolean) && !oidc.every(Boolean))
      fault("ATOLL_OIDC_ISSUER", "issuer, client id and client secret belong together");
  });

export interface Env {
  databaseUrl: string;
  webUrl: URL;
  gatewayUrl: URL;
  previewPort: number;
  previewDomain: string;
  hostdSocket: string;
  ticketPrivateKeyFile: string;
  receiptKeyFiles: { privateFile: string; publicFile: string };
  backupHorizonDays: number | undefined;
  authSecret: string;
  idlePauseSeconds: number;
  oidc: { issuer: string; clientId: string; clientSecret: string; name: string } | undefined;
  trustedProxies: ReadonlySet<string>;
  logLevel: "debug" | "info" | "warn" | "error";
}

/** @throws with every fault of the configuration in one message. */
export function parseEnv(source: Record<string, string | undefined>): Env {
  const present = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ""));
  const result = schema.safeParse(present);
  if (!result.success) throw new Error(`The web process is misconfigured:\n${z.prettifyError(result.error)}`);
  const raw = result.data;
  const webUrl = new URL(raw.ATOLL_WEB_URL);
  const gatewayUrl = new URL(raw.ATOLL_GATEWAY_URL ?? webUrl);
  if (raw.ATOLL_GATEWAY_URL === undefined) gatewayUrl.port = String(raw.ATOLL_GATEWAY_PORT);
  const authSecret =
    raw.AUTH_SECRET ?? readFileSync(/* turbopackIgnore: true */ raw.AUTH_SECRET_FILE ?? "", "utf8").trim();
  if (authSecret.length < 32) throw new Error("The web process is misconfigured:\nAUTH_SECRET is too short");
  return {
    databaseUrl: raw.DATABASE_URL,
    webUrl,
    gatewayUrl,
    previewPort: raw.ATOLL_PREVIEW_PORT,
    previewDomain: raw.ATOLL_PREVIEW_DOMAIN,
    hostdSocket: raw.ATOLL_HOSTD_SOCKET,
    ticketPrivateKeyFile: raw.ATOLL_TICKET_PRIVATE_KEY_FILE,
    receiptKeyFiles: {
      privateFile: raw.ATOLL_RECEIPT_PRIVATE_KEY_FILE,
      publicFile: raw.ATOLL_RECEIPT_PUBLIC_KEY_FILE,
    },
    backupHorizonDays: raw.ATOLL_BACKUP_HORIZON_DAYS,
    authSecret,
    idlePauseSeconds: raw.ATOLL_IDLE_PAUSE_SECONDS,
    oidc:
      raw.ATOLL_OIDC_ISSUER && raw.ATOLL_OIDC_CLIENT_ID && raw.ATOLL_OIDC_CLIENT_SECRET
        ? {
            issuer: raw.ATOLL_OIDC_ISSUER,
            clientId: raw.ATOLL_OIDC_CLIENT_ID,
            clientSecret: raw.ATOLL_OIDC_CLIENT_SECRET,
            name: raw.ATOLL_OIDC_NAME,
          }
        : undefined,
    trustedProxies: new Set(raw.ATOLL_TRUSTED_PROXIES),
    logLevel: raw.ATOLL_LOG_LEVEL,
  };
}

let parsed: Env | undefined;

export function env(): Env {
  if (parsed === undefined) {
    parsed = parseEnv(process.env);
    // next-auth takes its own address from the environment only; never from a request's Host.
    process.env.AUTH_URL ??= parsed.webUrl.origin;
  }
  return parsed;
}
