import { type Clock, systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import {
  SESSION_TICKET,
  type SessionTicketClaims,
  sessionTicketClaims,
  TICKET_ISSUER,
} from "@atoll/protocol/tickets";
import { type CryptoKey, errors, importSPKI, jwtVerify } from "jose";

const ALGORITHM = "EdDSA";
/** Web and hostd may run on two machines with slightly different clocks. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Tickets remembered until they expire; a minute of opening 1000 tabs a second. */
const USED_MAX = 60_000;

/** Judges session tickets without asking anyone: signature, audience, expiry, and that each is used once. */
export class TicketVerifier {
  readonly #key: CryptoKey;
  readonly #clock: Clock;
  /** Ticket id → when it is expired for good; insertion order is about expiry order. */
  readonly #used = new Map<string, number>();

  constructor(key: CryptoKey, clock: Clock = systemClock) {
    this.#key = key;
    this.#clock = clock;
  }

  static async fromPem(pem: string, clock?: Clock): Promise<TicketVerifier> {
    return new TicketVerifier(await importSPKI(pem, ALGORITHM), clock);
  }

  /** @throws AtollError ticket.invalid, ticket.expired, ticket.used */
  async verify(ticket: string): Promise<SessionTicketClaims> {
    const claims = await this.#readClaims(ticket);
    const nowMs = this.#clock.now();
    // A ticket that lives longer than it may was not made by the rules, whoever signed it.
    const latestMs = nowMs + (SESSION_TICKET.lifetimeSeconds + CLOCK_TOLERANCE_SECONDS) * 1000;
    if (claims.exp * 1000 > latestMs) throw new AtollError("ticket.invalid", "ticket lives too long");
    this.#use(claims, nowMs);
    return claims;
  }

  async #readClaims(ticket: string): Promise<SessionTicketClaims> {
    try {
      const { payload } = await jwtVerify(ticket, this.#key, {
        algorithms: [ALGORITHM],
        issuer: TICKET_ISSUER,
        audience: SESSION_TICKET.audience,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ["exp"],
      });
      return sessionTicketClaims.parse(payload);
    } catch (cause) {
      throw new AtollError(
        cause instanceof errors.JWTExpired ? "ticket.expired" : "ticket.invalid",
        undefined,
        { cause },
      );
    }
  }

  #use(claims: SessionTicketClaims, nowMs: number): void {
    for (const [jti, deadMs] of this.#used) {
      if (deadMs > nowMs) break;
      this.#used.delete(jti);
    }
    if (this.#used.has(claims.jti)) throw new AtollError("ticket.used");
    if (this.#used.size >= USED_MAX) throw new AtollError("request.rate_limited");
    this.#used.set(claims.jti, (claims.exp + CLOCK_TOLERANCE_SECONDS) * 1000 + 1);
  }
}
