import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";

/** Tickets live 30 s, so this many in the table means some thousand entries a second. */
const USED_TICKETS_MAX = 100_000;

/** Remembers each ticket until it could no longer be shown anyway. */
export class UsedTickets {
  readonly #clock: Clock;
  readonly #expiryById = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Only for a ticket that verified: strangers must not fill the table.
   * @throws AtollError ticket.used, request.rate_limited
   */
  use(ticketId: string, expiresAtSeconds: number): void {
    if (this.#expiryById.has(ticketId)) throw new AtollError("ticket.used");
    if (this.#expiryById.size >= USED_TICKETS_MAX) this.#forgetExpired();
    if (this.#expiryById.size >= USED_TICKETS_MAX) throw new AtollError("request.rate_limited");
    this.#expiryById.set(ticketId, expiresAtSeconds);
    // Oldest first, so the table is as long as the tickets that still live.
    for (const [id, expiry] of this.#expiryById) {
      if (expiry * 1000 > this.#clock.now()) break;
      this.#expiryById.delete(id);
    }
  }

  get size(): number {
    return this.#expiryById.size;
  }

  #forgetExpired(): void {
    for (const [id, expiry] of this.#expiryById) {
      if (expiry * 1000 <= this.#clock.now()) this.#expiryById.delete(id);
    }
  }
}
