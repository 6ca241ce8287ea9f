import { setTimeout as delay } from "node:timers/promises";
import { createDb, type Db } from "@atoll/db/create-db";

const EVERY_MS = 200;
const CHECK_WITHIN_MS = 180_000;

/** Rows that the database acknowledged while this or that was killed: none of them may be missing later. */
export class Ledger implements AsyncDisposable {
  readonly #db: Db;
  readonly #acknowledged = new Set<number>();
  #written = 0;

  private constructor(db: Db) {
    this.#db = db;
  }

  static async open(ownerUrl: string): Promise<Ledger> {
    const db = createDb({ url: ownerUrl, maxConnections: 1 });
    await db.$executeRaw`CREATE TABLE chaos_ledger (number integer PRIMARY KEY)`;
    return new Ledger(db);
  }

  get size(): number {
    return this.#acknowledged.size;
  }

  /** Row after row in the background; what fails may be there or not. */
  write(): { end: () => Promise<void> } {
    const ending = new AbortController();
    const writing = (async () => {
      while (!ending.signal.aborted) {
        const number = this.#written++;
        await this.#db.$executeRaw`INSERT INTO chaos_ledger VALUES (${number})`.then(
          () => this.#acknowledged.add(number),
          () => {},
        );
        await delay(EVERY_MS, undefined, { signal: ending.signal }).catch(() => {});
      }
    })();
    return {
      end: async () => {
        ending.abort();
        await writing;
      },
    };
  }

  /** @throws Error when a row is gone, or the database stays away */
  async check(): Promise<void> {
    const endMs = performance.now() + CHECK_WITHIN_MS;
    for (;;) {
      try {
        const rows = await this.#db.$queryRaw<{ number: number }[]>`SELECT number FROM chaos_ledger`;
        const found = new Set(rows.map(({ number }) => number));
        const missing = [...this.#acknowledged].filter((number) => !found.has(number));
        if (missing.length === 0) return;
        throw new LostRows(`rows that the database acknowledged are gone: ${missing.slice(0, 20)}`);
      } catch (error) {
        if (error instanceof LostRows || performance.now() > endMs) throw error;
        await delay(EVERY_MS);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.$disconnect();
  }
}

class LostRows extends Error {}
