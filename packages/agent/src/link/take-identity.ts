import type { Clock } from "@atoll/base/clock";
import type { LinkHello, LinkHelloAnswer } from "@atoll/protocol/link-handshake";
import { OLDEST_GENERATION, PROTOCOL_GENERATION } from "@atoll/protocol/version";
import type { GuestSystem } from "../system/guest-system.ts";

/** A clock that is off by less is left alone at a reconnect: stepping it by jitter would hurt programs more. */
const CLOCK_TOLERANCE_MS = 500;

/**
 * A machine that had run for longer than this before it read the HELLO may have been told a time that is long past: the
 * host decides whether to believe it, and lets the guest go on.
 */
const LATE_MS = 500;

export interface TakeIdentityOptions {
  system: GuestSystem;
  clock: Clock;
  agentVersion: string;
  log: (line: string) => void;
}

/**
 * Makes this guest the one the host says it is: entropy first, so that nothing after it draws from a clone's pool,
 * then clock and names, and only then its disk and its programs are let go on, by this or by the host. No program is started and the user's disk
 * is not touched: a create waits for this answer.
 */
export function takeIdentity(hello: LinkHello, options: TakeIdentityOptions): LinkHelloAnswer {
  const { system, clock, log } = options;
  const isNewLife = hello.reason !== "reconnect";
  const attempt = (what: string, run: () => void): boolean => {
    try {
      run();
      return true;
    } catch (cause) {
      log(`${what} failed: ${String(cause)}`);
      return false;
    }
  };
  const isReseeded = attempt("reseed", () => system.reseed(Buffer.from(hello.entropy, "hex")));
  if (isNewLife || Math.abs(clock.now() - hello.hostTimeMs) > CLOCK_TOLERANCE_MS) {
    attempt("setting the clock", () => system.setClock(hello.hostTimeMs));
  }
  const clockOffsetMs = Math.round(clock.now() - hello.hostTimeMs);
  const isNamed = !isNewLife || attempt("naming", () => system.setNames(hello.identity));
  const isLate = hello.holds === true && (system.frozenForMs ?? 0) > LATE_MS;
  const thawed = isLate ? {} : { isThawed: attempt("thaw", () => system.thaw()) };
  return {
    type: "agent",
    generation: Math.max(Math.min(hello.generation.newest, PROTOCOL_GENERATION), OLDEST_GENERATION),
    agentVersion: options.agentVersion,
    bootId: system.bootId,
    isReseeded,
    isNamed,
    ...thawed,
    clockOffsetMs,
  };
}
