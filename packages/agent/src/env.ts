import { readFileSync } from "node:fs";
import * as z from "zod";
import { GUEST_NATIVE_PATH } from "../native/guest-native.ts";

const absolutePath = z.string().regex(/^\/[^\0]*$/);

const schema = z.object({
  /** A serial port, or `unix:` and where to listen for connections that socat brings from vsock. */
  ATOLL_LINK: z
    .string()
    .regex(/^(unix:)?\/[^\0]*$/)
    .optional(),
  ATOLL_NATIVE: absolutePath.default(GUEST_NATIVE_PATH),
  /** Where the user's disk is mounted. */
  ATOLL_DISK: absolutePath.default("/run/atoll/disk"),
  /** The image's own read-only file system, whose tools run whatever a user did to theirs. */
  ATOLL_BASE: absolutePath.default("/run/atoll/base"),
  /** Where the `atoll` command leaves its leases. */
  ATOLL_LEASES: absolutePath.default("/run/atoll/keep-awake"),
  /** In memory; where /etc/hostname and /etc/machine-id lead. */
  ATOLL_NAMES: absolutePath.default("/run/atoll"),
  ATOLL_CGROUPS: absolutePath.default("/sys/fs/cgroup"),
  ATOLL_VIEW: absolutePath.default("/run/atoll/view"),
  ATOLL_USER_ID: z.coerce.number().int().nonnegative().default(1000),
  ATOLL_FOLDER: absolutePath.default("/workspace"),
  ATOLL_PROXY_PORT: z.coerce.number().int().min(1).max(65_535).default(3128),
});

const SERIAL_PORT = "/dev/virtio-ports/org.atoll.link";
const VSOCK_LISTENER = "unix:/run/atoll/agent.sock";

/** The kernel's command line says which transport the machine has; the environment overrides it. */
export function readEnv(environment: NodeJS.ProcessEnv = process.env) {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) throw new Error(`environment: ${z.prettifyError(parsed.error)}`);
  const hasVsock = readFileSync("/proc/cmdline", "latin1").split(/\s+/).includes("atoll.link=vsock");
  return Object.freeze({
    ...parsed.data,
    ATOLL_LINK: parsed.data.ATOLL_LINK ?? (hasVsock ? VSOCK_LISTENER : SERIAL_PORT),
  });
}
