import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";

/** A burst of starts looks once: looking takes as long as there are processes. Few others lend of the same range, and from elsewhere in it. */
const LOOKED_FOR_MS = 500;

/** Lends each machine a user id of its own. Ids in use by any process of this machine are skipped, whoever started it. */
export class UidRange {
  readonly #first: number;
  readonly #count: number;
  readonly #lent = new Set<number>();
  #busy: { uids: ReadonlySet<number>; untilMs: number } | undefined;
  #next: number;

  constructor(range: { first: number; count: number }) {
    this.#first = range.first;
    this.#count = range.count;
    this.#next = randomInt(range.count);
  }

  lend(): number {
    const nowMs = systemClock.monotonic();
    if (this.#busy === undefined || nowMs > this.#busy.untilMs)
      this.#busy = { uids: uidsInUse(), untilMs: nowMs + LOOKED_FOR_MS };
    const { uids: busy } = this.#busy;
    for (let tried = 0; tried < this.#count; tried++) {
      const uid = this.#first + this.#next;
      this.#next = (this.#next + 1) % this.#count;
      if (this.#lent.has(uid) || busy.has(uid)) continue;
      this.#lent.add(uid);
      return uid;
    }
    throw new AtollError("host.full", "every user id for machines is in use", {
      details: { limit: this.#count },
    });
  }

  /** For a machine that was found alive. */
  claim(uid: number): void {
    this.#lent.add(uid);
  }

  giveBack(uid: number): void {
    this.#lent.delete(uid);
  }
}

function uidsInUse(): Set<number> {
  const uids = new Set<number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The owner of the directory is root for processes that may not be dumped, so it has to be the status file.
      const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${name}/status`, "latin1"))?.[1];
      if (uid !== undefined) uids.add(Number(uid));
    } catch {
      // It ended since the listing.
    }
  }
  return uids;
}
