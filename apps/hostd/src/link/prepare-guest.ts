import { type Clock, systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { coreQuiesce } from "@atoll/protocol/messages/core";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { runLoginShell } from "./rehearse-guest.ts";
import { visitGuest } from "./visit-guest.ts";

/** An emulated guest boots in ten seconds by itself, in minutes where the host is busy. */
const BOOT_TIMEOUT_MS = 300_000;
const ANSWER_TIMEOUT_MS = 60_000;
const QUIESCE_TIMEOUT_MS = 30_000;

/**
 * Brings a freshly booted machine to the point where its template is taken: agent connected, then disk synced and
 * frozen, link closed. A login shell and a second handshake before that leave their compiled code in the guest's memory,
 * which every clone then has. The identity is a placeholder that every clone replaces at its own handshake.
 * Call it right after `launch`; it starts the machine.
 */
export async function prepareGuest(
  machine: Machine,
  options: { signal?: AbortSignal | undefined; clock?: Clock } = {},
): Promise<{ linkToken: string }> {
  const { signal, clock = systemClock } = options;
  const boot = {
    reason: "boot",
    expectedToken: FIRST_LINK_TOKEN,
    timeoutMs: BOOT_TIMEOUT_MS,
    signal,
    clock,
  } as const;
  const { linkToken } = await visitGuest(machine, boot, (mux) => runLoginShell(mux, options));
  const again = {
    reason: "create",
    expectedToken: linkToken,
    timeoutMs: ANSWER_TIMEOUT_MS,
    signal,
    clock,
  } as const;
  return visitGuest(machine, again, async (mux) => {
    const { frozen } = await call(mux, coreQuiesce, {}, { timeoutMs: QUIESCE_TIMEOUT_MS, signal, clock });
    if (!frozen) throw new AtollError("vm.start_failed", "the guest's disk could not be frozen");
  });
}
