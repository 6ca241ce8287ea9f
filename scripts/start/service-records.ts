import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";

const POLL_INTERVAL_MS = 100;
/** Pausing machines takes seconds each; web and gateway are gone in one. */
const LEFTOVER_TIMEOUT_MS = 180_000;

const records = z.record(z.string(), z.object({ pid: z.number(), startTicks: z.number() }));

/** Which processes belong to this data directory, on disk: a start that was killed cannot stop them, the next one can. */
export class ServiceRecords {
  readonly #path: string;
  readonly #current: Record<string, ProcessIdentity> = {};

  constructor(path: string) {
    this.#path = path;
  }

  set(name: string, identity: ProcessIdentity | undefined): void {
    if (identity) this.#current[name] = identity;
    else delete this.#current[name];
    const temporary = `${this.#path}.new`;
    writeFileSync(temporary, JSON.stringify(this.#current), { mode: 0o600 });
    renameSync(temporary, this.#path);
  }

  /** Ends what an earlier start left behind; returns their names. */
  async endLeftovers(report: (detail: string) => void): Promise<string[]> {
    const left = Object.entries(this.#read()).filter(([, identity]) => isAlive(identity));
    for (const [, { pid }] of left) process.kill(pid, "SIGTERM");
    const deadlineMs = performance.now() + LEFTOVER_TIMEOUT_MS;
    for (const [name, identity] of left) {
      report(`waiting for ${name} of the last start (process ${identity.pid}) to finish`);
      while (isAlive(identity)) {
        if (performance.now() > deadlineMs) process.kill(identity.pid, "SIGKILL");
        await delay(POLL_INTERVAL_MS);
      }
    }
    return left.map(([name]) => name);
  }

  #read(): Record<string, ProcessIdentity> {
    try {
      return records.parse(JSON.parse(readFileSync(this.#path, "utf8")));
    } catch {
      return {};
    }
  }
}
