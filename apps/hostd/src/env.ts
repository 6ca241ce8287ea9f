import { resolve } from "node:path";
import type { KeyStoreChoice } from "@atoll/keys/open-key-store";
import { z } from "zod";

const flag = z.enum(["0", "1"]).transform((value) => value === "1");
const path = z
  .string()
  .min(1)
  .transform((value) => resolve(value));
const count = (fallback: number) => z.coerce.number().int().min(0).default(fallback);

const fields = z.object({
  /** Everything that must survive: journal, disks, snapshots, keys. */
  ATOLL_DATA: path,
  /** What `npm start` built: QEMU's root, images, templates. */
  ATOLL_CACHE: path,
  /** Where data directories of this machine and file system share baked templates. */
  ATOLL_SHARED_TEMPLATES: path.optional(),
  /** Control plane's HTTP socket. */
  ATOLL_HOSTD_SOCKET: path,
  /** Gateway's socket. */
  ATOLL_LINK_SOCKET: path,
  ATOLL_TICKET_PUBLIC_KEY_FILE: path,
  /** For workspaces whose creation names none. */
  ATOLL_IDLE_PAUSE_SECONDS: z.coerce.number().int().min(1).max(604_800).default(1800),
  /** How long a paused workspace's memory stays where it is before it is sealed to the disk; 0 seals at once. */
  ATOLL_PAUSE_GRACE_SECONDS: z.coerce.number().min(0).max(3600).default(60),
  /** Emulation is no security boundary: beyond localhost it needs this. */
  ATOLL_ALLOW_EMULATED: flag.default(false),
  /** Where people reach the application; its host decides whether this is localhost. */
  ATOLL_WEB_URL: z.url().default("http://localhost"),
  /** Ready machines and disks kept for creates. */
  ATOLL_POOL_SIZE: count(2),
  /** Creates may name a size that no plan has, each a template of its own: for measuring. */
  ATOLL_ANY_MACHINE_SIZE: flag.default(false),
  /** Image names, comma separated; the first is baked at start. */
  ATOLL_IMAGES: z
    .string()
    .default("base")
    .transform((names) => names.split(","))
    .pipe(z.array(z.string().regex(/^[a-z0-9-]{1,32}$/)).min(1)),
  /** RAM for machines; 0 means three quarters of this host's. */
  ATOLL_MEMORY_MB: count(0),
  /** How many times that may be promised: idle guests use a fraction of their size. */
  ATOLL_MEMORY_OVERCOMMIT: z.coerce.number().min(0.1).max(16).default(2),
  /** Free disk that new starts must leave. */
  ATOLL_DISK_RESERVE_MB: count(1024),
  /** `local`: files below ATOLL_DATA. `transit`: behind an OpenBao or Vault server, named by the next three. */
  ATOLL_KEY_STORE: z.enum(["local", "transit"]).default("local"),
  ATOLL_TRANSIT_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** 0600; read again at every call. */
  ATOLL_TRANSIT_TOKEN_FILE: path.optional(),
  ATOLL_TRANSIT_MOUNT: z
    .string()
    .regex(/^[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]+)*$/)
    .default("transit"),
  ATOLL_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
});
const schema = fields.check(({ value, issues }) => {
  if (value.ATOLL_KEY_STORE !== "transit") return;
  for (const name of ["ATOLL_TRANSIT_URL", "ATOLL_TRANSIT_TOKEN_FILE"] as const) {
    if (value[name] !== undefined) continue;
    issues.push({
      code: "custom",
      path: [name],
      message: "ATOLL_KEY_STORE=transit needs it",
      input: undefined,
    });
  }
});
export type HostdEnv = Readonly<z.output<typeof schema>>;

export function keyStoreChoice(env: HostdEnv): KeyStoreChoice {
  const { ATOLL_TRANSIT_URL: url, ATOLL_TRANSIT_TOKEN_FILE: tokenFile, ATOLL_TRANSIT_MOUNT: mount } = env;
  if (env.ATOLL_KEY_STORE === "local") return { kind: "local" };
  if (url === undefined || tokenFile === undefined) throw new TypeError("the schema asks for both");
  return { kind: "transit", url, tokenFile, mount };
}

/** @throws Error naming every faulty variable at once. */
export function readEnv(variables: Readonly<Record<string, string | undefined>> = process.env): HostdEnv {
  const parsed = schema.safeParse(variables);
  if (parsed.success) return Object.freeze(parsed.data);
  const faults = parsed.error.issues.map(({ path: [name], message }) => `  ${String(name)}: ${message}`);
  throw new Error(`hostd cannot start, its environment is faulty:\n${faults.join("\n")}`);
}
