import { chownSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@atoll/base/clock";
import { LEASE_MAX_SECONDS } from "@atoll/protocol/limits";
import { readSmallFile } from "../system/read-small-file.ts";
import { withoutControls } from "../system/without-controls.ts";

export interface GuestLease {
  detail: string;
  untilMs: number;
}

/** The `atoll` command makes at most this many; the protocol's own bound. */
const LEASES_MAX = 16;
/** What else a user puts there is not looked at. */
const ENTRIES_MAX = 64;
const FILE_MAX_BYTES = 512;
const DETAIL_MAX = 80;

/**
 * Leases of users' programs: one file each, first line the end in Unix seconds, second line what for. Written by the
 * `atoll` command; anybody may write anything there, so what is no lease is passed over.
 */
export class GuestLeases {
  readonly #folder: string;
  readonly #clock: Clock;
  #maxSeconds: number | undefined;

  constructor(options: { folder: string; clock: Clock }) {
    this.#folder = options.folder;
    this.#clock = options.clock;
  }

  /** Makes the folder, owned by whoever the terminals run as. */
  prepare(owner: { uid: number; gid: number }): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o755 });
    chownSync(this.#folder, owner.uid, owner.gid);
  }

  /**
   * What the `atoll` command promises at most from now on: for its users' sake, the host keeps to the bound itself. Beside
   * the folder, where they cannot write. A disk that takes nothing more leaves it as it was.
   */
  announceMax(seconds: number): void {
    if (seconds === this.#maxSeconds) return;
    const path = `${this.#folder}-max`;
    try {
      writeFileSync(`${path}.new`, `${seconds}\n`, { mode: 0o644 });
      renameSync(`${path}.new`, path);
      this.#maxSeconds = seconds;
    } catch {
      // Tried again with the next question.
    }
  }

  /** Those that have not ended, the longest first. */
  async read(): Promise<GuestLease[]> {
    const leases: GuestLease[] = [];
    for (const name of await this.#names()) {
      const lease = this.#parse(await readSmallFile(join(this.#folder, name), FILE_MAX_BYTES));
      if (lease !== undefined) leases.push(lease);
    }
    return leases.sort((a, b) => b.untilMs - a.untilMs).slice(0, LEASES_MAX);
  }

  async #names(): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const { name } of await opendir(this.#folder)) {
        // The command writes under a hidden name and renames.
        if (!name.startsWith(".")) names.push(name);
        if (names.length >= ENTRIES_MAX) break;
      }
    } catch {
      // A user may remove the folder; then nothing is leased.
    }
    return names;
  }

  #parse(text: string | undefined): GuestLease | undefined {
    const match = /^(\d{1,12})\n([^\n]*)/.exec(text ?? "");
    if (match === null) return undefined;
    const nowMs = this.#clock.now();
    const untilMs = Math.min(Number(match[1]) * 1000, nowMs + LEASE_MAX_SECONDS * 1000);
    if (untilMs <= nowMs) return undefined;
    const detail = withoutControls(match[2] ?? "").slice(0, DETAIL_MAX);
    return { detail: detail === "" ? "keep-awake" : detail, untilMs };
  }
}
