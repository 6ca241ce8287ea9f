import { readFileSync } from "node:fs";
import type { Clock } from "@atoll/base/clock";
import type { LinkHello } from "@atoll/protocol/link-handshake";
import type { GuestNative } from "../../native/guest-native.ts";
import type { GuestSystem } from "./guest-system.ts";
import { hasErrno } from "./has-errno.ts";
import type { ProcessFreezer } from "./process-freezer.ts";
import { writeNames } from "./write-names.ts";

/** busybox init powers off on this signal. */
const POWER_OFF_SIGNAL = "SIGUSR2";

export class NativeGuestSystem implements GuestSystem {
  readonly bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  readonly diskPath: string;
  readonly #native: GuestNative;
  readonly #namesPath: string;
  readonly #freezer: ProcessFreezer;
  readonly #clock: Clock;
  #frozenAtMs: number | undefined;

  /** @param options.namesPath in memory: /etc/hostname and /etc/machine-id lead there */
  constructor(options: {
    native: GuestNative;
    diskPath: string;
    namesPath: string;
    freezer: ProcessFreezer;
    clock: Clock;
  }) {
    this.#native = options.native;
    this.diskPath = options.diskPath;
    this.#namesPath = options.namesPath;
    this.#freezer = options.freezer;
    this.#clock = options.clock;
  }

  reseed(entropy: Uint8Array): void {
    this.#native.reseed(entropy);
  }

  setClock(unixMs: number): void {
    this.#native.setClock(unixMs);
  }

  setNames(identity: LinkHello["identity"]): void {
    this.#native.setHostname(identity.hostname);
    writeNames(this.#namesPath, identity);
  }

  get frozenForMs(): number | undefined {
    return this.#frozenAtMs === undefined ? undefined : this.#clock.monotonic() - this.#frozenAtMs;
  }

  freeze(): void {
    this.#freezer.freeze();
    try {
      this.#native.freeze(this.diskPath);
    } catch (cause) {
      if (!hasErrno(cause, "EBUSY")) {
        this.#freezer.thaw();
        throw cause;
      }
    }
    // The machine stops right behind this.
    this.#frozenAtMs = this.#clock.monotonic();
  }

  thaw(): void {
    try {
      this.#native.thaw(this.diskPath);
    } catch (cause) {
      if (!hasErrno(cause, "EINVAL")) throw cause;
    } finally {
      this.#frozenAtMs = undefined;
      this.#freezer.thaw();
    }
  }

  joinPrograms(): void {
    this.#freezer.joinPrograms();
  }

  powerOff(): void {
    process.kill(1, POWER_OFF_SIGNAL);
  }
}
