import { AtollError } from "@atoll/protocol/atoll-error";
import type { HostdEnv } from "./env.ts";

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Emulation is no security boundary: it is for whoever sits at this machine, unless its operator says otherwise.
 * @throws AtollError host.emulation_refused
 */
export function refuseEmulationInPublic(env: Pick<HostdEnv, "ATOLL_WEB_URL" | "ATOLL_ALLOW_EMULATED">): void {
  const { hostname } = new URL(env.ATOLL_WEB_URL);
  const isLocal = LOCAL.includes(hostname) || hostname.endsWith(".localhost");
  if (!isLocal && !env.ATOLL_ALLOW_EMULATED) throw new AtollError("host.emulation_refused");
}
