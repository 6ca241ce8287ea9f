import { setTimeout as delay } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";

export interface DatabaseKeeperOptions {
  /** Starts the server, or finds that it runs. */
  start: () => Promise<void>;
  /** Of the server; undefined while there is none. */
  find: () => ProcessIdentity | undefined;
  /** For people: restarts and what keeps one from succeeding. */
  onNote: (text: string) => void;
  lookIntervalMs?: number;
}

const LOOK_INTERVAL_MS = 1000;
const RETRY_MAX_MS = 30_000;

/**
 * Starts the database's server again when its process is gone. It is nobody's child, so it is looked for. Machines run
 * on meanwhile; web answers again by itself.
 */
export class DatabaseKeeper {
  readonly #options: DatabaseKeeperOptions;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;

  constructor(options: DatabaseKeeperOptions) {
    this.#options = options;
    this.#done = this.#keep();
  }

  /** Behind this nothing is started any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  async #keep(): Promise<void> {
    const { start, find, onNote, lookIntervalMs = LOOK_INTERVAL_MS } = this.#options;
    let known = find();
    let waitMs = lookIntervalMs;
    while (await this.#waited(waitMs)) {
      if (known !== undefined && isAlive(known)) continue;
      onNote("The database ended; starting it again");
      try {
        await start();
        known = find();
        waitMs = lookIntervalMs;
      } catch (error) {
        // What is left of the one before may need a moment to end: its memory is in use until then.
        waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
        onNote(`The database does not start: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  /** False once closed. */
  async #waited(forMs: number): Promise<boolean> {
    const { signal } = this.#closing;
    await delay(forMs, undefined, { signal }).catch(() => {});
    return !signal.aborted;
  }
}
