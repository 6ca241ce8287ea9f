/** What the agent changes about the machine it runs in. Native in a guest, in memory in tests. */
export interface GuestSystem {
  /** Credits the bytes and reseeds the kernel's generator. */
  reseed(entropy: Uint8Array): void;
  setClock(unixMs: number): void;
  setHostname(name: string): void;
  /** Blocks until the user's disk is synced and still. Freezing a frozen disk does nothing. */
  freezeDisk(): void;
  /** Thawing a disk that is not frozen does nothing. */
  thawDisk(): void;
  /** Asks PID 1 to stop the machine in order. */
  powerOff(): void;
  readonly bootId: string;
  /** Where the user's disk is mounted. */
  readonly diskPath: string;
}
