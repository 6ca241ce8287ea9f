declare const portBrand: unique symbol;
export interface Port {
  readonly [portBrand]: true;
}

/** The addon of `guest-native.c`. Calls throw an `Error` whose `code` is the errno's name. All need root. */
export interface GuestNative {
  /** Credits 32 to 512 bytes to the kernel's pool and reseeds its generator before returning. */
  reseed(entropy: Uint8Array): void;
  setClock(unixMs: number): void;
  setHostname(name: string): void;
  /** Blocks this thread until everything is on the disk; writers then wait until `thaw`. `EBUSY`: frozen already. */
  freeze(mountPoint: string): void;
  /** `EINVAL`: was not frozen. */
  thaw(mountPoint: string): void;
  /**
   * Opens a device without blocking. `onReady` is called after the device changed: the host connected or left, bytes
   * came, or room was made. It is edge-triggered, so on each call read until -1 or 0 and write until -1.
   */
  openPort(path: string, onReady: (isConnected: boolean) => void): Port;
  /** Bytes put into `target`; -1: nothing now; 0: no host is connected. */
  readPort(port: Port, target: Uint8Array): number;
  /** Bytes taken from `source`, maybe fewer than it has; -1: no room now. Lost if no host is connected. */
  writePort(port: Port, source: Uint8Array): number;
  /** Safe to call twice; other calls fail with `EBADF` afterwards. */
  closePort(port: Port): void;
}

/** Where the image keeps it. In the read-only base, so that no change to a user's disk can take it away. */
export const GUEST_NATIVE_PATH = "/run/atoll/base/usr/lib/atoll/guest-native.node";

export function loadGuestNative(path: string = GUEST_NATIVE_PATH): GuestNative {
  const { createRequire } = process.getBuiltinModule("node:module");
  return createRequire(import.meta.url)(path) as GuestNative;
}
