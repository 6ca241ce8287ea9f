import { z } from "zod";

const port = z.coerce.number().int().min(1).max(65_535);

const variables = z.object({
  ATOLL_GATEWAY_PORT: port,
  ATOLL_PREVIEW_PORT: port,
  /** Its origin is the only page that may connect. */
  ATOLL_WEB_URL: z.url({ protocol: /^https?$/ }),
  /** Public address of the session listener, when it is not the web host with ATOLL_GATEWAY_PORT. */
  ATOLL_GATEWAY_URL: z.url({ protocol: /^(?:https?|wss?)$/ }).optional(),
  /** Its own site beside the application, never above or below it. */
  ATOLL_PREVIEW_DOMAIN: z
    .string()
    .regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/)
    .default("preview.localhost"),
  ATOLL_LINK_SOCKET: z.string().min(1),
  /** Ed25519, PEM (SPKI). */
  ATOLL_TICKET_PUBLIC_KEY_FILE: z.string().min(1),
  ATOLL_DATA: z.string().min(1),
  ATOLL_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export interface GatewayEnv {
  gatewayPort: number;
  previewPort: number;
  webUrl: URL;
  gatewayUrl: URL | undefined;
  previewDomain: string;
  linkSocketPath: string;
  ticketPublicKeyFile: string;
  dataDirectory: string;
  logLevel: "debug" | "info" | "warn" | "error";
}

/** @throws Error that names every faulty variable at once. */
export function readEnv(source: Record<string, string | undefined> = process.env): GatewayEnv {
  const parsed = variables.safeParse(source);
  if (!parsed.success) throw new Error(`environment: ${z.prettifyError(parsed.error)}`);
  const values = parsed.data;
  return Object.freeze({
    gatewayPort: values.ATOLL_GATEWAY_PORT,
    previewPort: values.ATOLL_PREVIEW_PORT,
    webUrl: new URL(values.ATOLL_WEB_URL),
    gatewayUrl: values.ATOLL_GATEWAY_URL === undefined ? undefined : new URL(values.ATOLL_GATEWAY_URL),
    previewDomain: values.ATOLL_PREVIEW_DOMAIN,
    linkSocketPath: values.ATOLL_LINK_SOCKET,
    ticketPublicKeyFile: values.ATOLL_TICKET_PUBLIC_KEY_FILE,
    dataDirectory: values.ATOLL_DATA,
    logLevel: values.ATOLL_LOG_LEVEL,
  });
}
