import { AtollError } from "@atoll/protocol/atoll-error";

/** Counts admitted sockets, in all and for each user. */
export class SocketCensus {
  readonly #limits: { total: number; perUser: number };
  readonly #byUser = new Map<string, number>();
  #total = 0;

  constructor(limits: { total: number; perUser: number }) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /**
   * The returned function gives the place back, once.
   * @throws AtollError host.full, request.rate_limited
   */
  admit(userId: string): () => void {
    const { total, perUser } = this.#limits;
    const ofUser = this.#byUser.get(userId) ?? 0;
    if (ofUser >= perUser) {
      throw new AtollError("request.rate_limited", "too many sockets", { details: { limit: perUser } });
    }
    if (this.#total >= total) throw new AtollError("host.full", "too many sockets");
    this.#total += 1;
    this.#byUser.set(userId, ofUser + 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#total -= 1;
      const left = (this.#byUser.get(userId) ?? 1) - 1;
      if (left === 0) this.#byUser.delete(userId);
      else this.#byUser.set(userId, left);
    };
  }
}
