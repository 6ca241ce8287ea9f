import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import type { LinkHello } from "@atoll/protocol/link-handshake";
import type { Mux } from "@atoll/protocol/mux";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { GuestLink } from "./guest-link.ts";

export interface VisitOptions {
  reason: "boot" | "create";
  expectedToken: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/** Whoever gets the machine replaces it at their own handshake. */
const NOBODY: LinkHello["identity"] = {
  workspaceId: "template",
  hostname: "atoll",
  machineId: "a7011000000000000000000000000001",
};

/**
 * Does something in a guest that is nobody's yet: starts the machine, shakes hands, works, and leaves with the link
 * closed and the machine running. Answers the token that the agent expects next.
 */
export async function visitGuest(
  machine: Machine,
  options: VisitOptions,
  work: (mux: Mux) => Promise<void>,
): Promise<{ linkToken: string }> {
  const { signal, clock = systemClock } = options;
  const linkToken = randomBytes(LINK_TOKEN_BYTES).toString("hex");
  const link = new GuestLink({
    machine,
    identity: NOBODY,
    linkToken,
    egress: () => "off",
    onOpen: (open) => open.refuse(new AtollError("egress.denied")),
    onUp: () => {},
    onDown: () => {},
    onDegraded: () => {},
    onAbandoned: () => {},
    clock,
  });
  try {
    await link.connect({
      expectedToken: options.expectedToken,
      reason: options.reason,
      timeoutMs: options.timeoutMs,
      signal,
      beforeHandshake: () => machine.start(signal),
    });
    const { mux } = link;
    if (mux === undefined) throw new AtollError("link.lost", "the agent left during a visit");
    await work(mux);
    return { linkToken };
  } finally {
    link.close(new AtollError("link.lost", "the visit is over"));
  }
}
