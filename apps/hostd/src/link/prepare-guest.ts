import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { coreQuiesce } from "@atoll/protocol/messages/core";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { GuestLink } from "./guest-link.ts";

/** Cold boot of an emulated guest on a busy host takes 10-20 s. */
const BOOT_TIMEOUT_MS = 120_000;
const QUIESCE_TIMEOUT_MS = 30_000;

/**
 * Brings a freshly booted machine to the point where its template is taken: agent connected, then disk synced and
 * frozen, link closed. The identity is a placeholder that every clone replaces at its own handshake.
 * Call it right after `launch`; it starts the machine.
 */
export async function prepareGuest(
  machine: Machine,
  options: { signal?: AbortSignal | undefined; clock?: Clock } = {},
): Promise<{ linkToken: string }> {
  const clock = options.clock ?? systemClock;
  const linkToken = randomBytes(LINK_TOKEN_BYTES).toString("hex");
  const link = new GuestLink({
    machine,
    identity: { workspaceId: "template", hostname: "atoll", machineId: "a7011000000000000000000000000001" },
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
      expectedToken: FIRST_LINK_TOKEN,
      reason: "boot",
      timeoutMs: BOOT_TIMEOUT_MS,
      signal: options.signal,
      beforeHandshake: () => machine.start(options.signal),
    });
    const { mux } = link;
    if (mux === undefined)
      throw new AtollError("link.lost", "the agent left while its template was prepared");
    const { frozen } = await call(
      mux,
      coreQuiesce,
      {},
      { timeoutMs: QUIESCE_TIMEOUT_MS, signal: options.signal, clock },
    );
    if (!frozen) throw new AtollError("vm.start_failed", "the guest's disk could not be frozen");
    return { linkToken };
  } finally {
    link.close(new AtollError("link.lost", "template prepared"));
  }
}
