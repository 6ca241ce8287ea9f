import type { LinkHello } from "@atoll/protocol/link-handshake";

/** What the agent changes about the machine it runs in. Native in a guest, in memory in tests. */
export interface GuestSystem {
  /** Credits the bytes and reseeds the kernel's generator. */
  reseed(entropy: Uint8Array): void;
  setClock(unixMs: number): void;
  /** The kernel's host name, and the names that programs read from files. */
  setNames(identity: LinkHello["identity"]): void;
  /** Programs first, so that nothing is dirtied any more; blocks until the user's disk is synced and still. Repeatable. */
  freeze(): void;
  /** Thawing what is not frozen does nothing. */
  thaw(): void;
  /** Before a program is started: it is born among those that `freeze` stops. */
  joinPrograms(): void;
  /** How long it has been frozen, in the machine's own time, which stands still with its vCPUs; undefined when it is not. */
  readonly frozenForMs: number | undefined;
  /** Asks PID 1 to stop the machine in order. */
  powerOff(): void;
  readonly bootId: string;
  /** Where the user's disk is mounted. */
  readonly diskPath: string;
}
