import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import type { LinkHello, LinkHelloAnswer } from "@atoll/protocol/link-handshake";
import { OLDEST_GENERATION, PROTOCOL_GENERATION } from "@atoll/protocol/version";
import type { GuestSystem } from "../system/guest-system.ts";

/** A clock that is off by less is left alone at a reconnect: stepping it by jitter would hurt programs more. */
const CLOCK_TOLERANCE_MS = 500;
/** Writing two small files. A disk that is slower, or a file system a user put there, must not cost the VM its link. */
const NAMES_TIMEOUT_MS = 1000;

export interface TakeIdentityOptions {
  system: GuestSystem;
  clock: Clock;
  agentVersion: string;
  writeNames: (identity: LinkHello["identity"]) => Promise<void>;
  log: (line: string) => void;
}

/**
 * Makes this guest the one the host says it is: entropy first, so that nothing after it draws from a clone's pool,
 * then clock, name and a thawed disk. No program is started: a create waits for this answer.
 */
export async function takeIdentity(hello: LinkHello, options: TakeIdentityOptions): Promise<LinkHelloAnswer> {
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
  if (isNewLife) attempt("setting the host name", () => system.setHostname(hello.identity.hostname));
  attempt("thaw", () => system.thawDisk());
  if (isNewLife) {
    const naming = options.writeNames(hello.identity);
    naming.catch((cause: unknown) => log(`writing machine-id failed: ${String(cause)}`));
    await withDeadline(naming, {
      timeoutMs: NAMES_TIMEOUT_MS,
      clock,
      onTimeout: () => new Error("the disk is slow"),
    }).catch(() => {});
  }
  return {
    type: "agent",
    generation: Math.max(Math.min(hello.generation.newest, PROTOCOL_GENERATION), OLDEST_GENERATION),
    agentVersion: options.agentVersion,
    bootId: system.bootId,
    isReseeded,
    clockOffsetMs,
  };
}
