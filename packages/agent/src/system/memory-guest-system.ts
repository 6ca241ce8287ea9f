import type { LinkHello } from "@atoll/protocol/link-handshake";
import type { GuestSystem } from "./guest-system.ts";

/** Remembers what was asked of it, in order. For tests on a machine that must not be changed. */
export class MemoryGuestSystem implements GuestSystem {
  readonly bootId = "00000000-0000-4000-8000-000000000000";
  readonly diskPath: string;
  readonly calls: string[] = [];
  isFrozen = false;
  frozenForMs: number | undefined;
  canReseed = true;
  canThaw = true;

  constructor(diskPath: string) {
    this.diskPath = diskPath;
  }

  reseed(entropy: Uint8Array): void {
    if (!this.canReseed) throw new Error("no generator");
    this.calls.push(`reseed ${entropy.length}`);
  }

  setClock(unixMs: number): void {
    this.calls.push(`clock ${unixMs}`);
  }

  setNames({ hostname, machineId }: LinkHello["identity"]): void {
    this.calls.push(`names ${hostname} ${machineId}`);
  }

  freeze(): void {
    this.isFrozen = true;
    this.calls.push("freeze");
  }

  thaw(): void {
    if (!this.canThaw) throw new Error("no disk");
    this.isFrozen = false;
    this.calls.push("thaw");
  }

  joinPrograms(): void {
    this.calls.push("join programs");
  }

  powerOff(): void {
    this.calls.push("power off");
  }
}
