import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import type { Clock } from "@atoll/base/clock";
import { SESSION_TICKET, TICKET_ISSUER } from "@atoll/protocol/tickets";
import { SignJWT } from "jose";
import { OWNER } from "./fake-host.ts";

export interface TicketWishes {
  workspaceId: string;
  sub?: string;
  jti?: string;
  authSessionId?: string;
  maxSessions?: number;
  audience?: string;
  issuer?: string;
  lifetimeSeconds?: number;
  view?: { checkpointId: string | null };
}

/** Signs session tickets as web does, and wrong ones. */
export class TicketMaker {
  readonly publicPem: string;
  readonly #key: KeyObject;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    this.publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();
    this.#key = privateKey;
    this.#clock = clock;
  }

  make(wishes: TicketWishes): Promise<string> {
    const nowSeconds = Math.floor(this.#clock.now() / 1000);
    return new SignJWT({
      workspaceId: wishes.workspaceId,
      slug: "blue-reef",
      authSessionId: wishes.authSessionId ?? "22222222-2222-4222-8222-222222222222",
      planLabel: "Free",
      maxSessions: wishes.maxSessions ?? 1,
      ...(wishes.view === undefined ? {} : { view: wishes.view }),
    })
      .setProtectedHeader({ alg: "EdDSA" })
      .setIssuer(wishes.issuer ?? TICKET_ISSUER)
      .setAudience(wishes.audience ?? SESSION_TICKET.audience)
      .setSubject(wishes.sub ?? OWNER)
      .setJti(wishes.jti ?? randomUUID())
      .setExpirationTime(nowSeconds + (wishes.lifetimeSeconds ?? SESSION_TICKET.lifetimeSeconds))
      .sign(this.#key);
  }
}
