import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { visitGuest } from "./visit-guest.ts";

/** A restored guest on a busy host answers within seconds; one that does not is not worth waiting with. */
const ANSWER_TIMEOUT_MS = 60_000;
const COMMAND_TIMEOUT_MS = 30_000;

/**
 * Does with a waiting clone what its first user will: a handshake and a login shell. Under emulation every piece of
 * guest code is translated when a process first runs it, so the first handshake of a fresh clone costs ten times what
 * later ones do; here nobody waits for it.
 */
export function rehearseGuest(
  machine: Machine,
  options: { expectedToken: string; signal?: AbortSignal | undefined; clock?: Clock | undefined },
): Promise<{ linkToken: string }> {
  return visitGuest(machine, { ...options, reason: "create", timeoutMs: ANSWER_TIMEOUT_MS }, (mux) =>
    runLoginShell(mux, options),
  );
}

export async function runLoginShell(
  mux: Mux,
  options: { signal?: AbortSignal | undefined; clock?: Clock | undefined },
): Promise<void> {
  const channel = await openChannel(
    mux,
    processRun,
    { argv: ["bash", "-lc", "true"], timeoutMs: COMMAND_TIMEOUT_MS },
    {
      timeoutMs: COMMAND_TIMEOUT_MS,
      signal: options.signal,
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    },
  );
  channel.stream.end();
  for await (const item of channel.items()) {
    if (item.kind === "event" && item.value.exitCode !== 0) {
      throw new AtollError("vm.start_failed", "the guest's login shell does not run");
    }
  }
}
