import { readFileSync } from "node:fs";
import type { GuestNative } from "../../native/guest-native.ts";
import type { GuestSystem } from "./guest-system.ts";
import { hasErrno } from "./has-errno.ts";

/** busybox init powers off on this signal. */
const POWER_OFF_SIGNAL = "SIGUSR2";

export class NativeGuestSystem implements GuestSystem {
  readonly bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  readonly diskPath: string;
  readonly #native: GuestNative;

  constructor(options: { native: GuestNative; diskPath: string }) {
    this.#native = options.native;
    this.diskPath = options.diskPath;
  }

  reseed(entropy: Uint8Array): void {
    this.#native.reseed(entropy);
  }

  setClock(unixMs: number): void {
    this.#native.setClock(unixMs);
  }

  setHostname(name: string): void {
    this.#native.setHostname(name);
  }

  freezeDisk(): void {
    try {
      this.#native.freeze(this.diskPath);
    } catch (cause) {
      if (!hasErrno(cause, "EBUSY")) throw cause;
    }
  }

  thawDisk(): void {
    try {
      this.#native.thaw(this.diskPath);
    } catch (cause) {
      if (!hasErrno(cause, "EINVAL")) throw cause;
    }
  }

  powerOff(): void {
    process.kill(1, POWER_OFF_SIGNAL);
  }
}
