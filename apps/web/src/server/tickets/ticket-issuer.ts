/** Signs the passes that gateway and hostd verify offline. Claims and lifetimes: protocol's `tickets`. */
import { createPrivateKey, type KeyObject, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  PREVIEW_TICKET,
  type PreviewTicketClaims,
  SESSION_TICKET,
  type SessionTicketClaims,
  TICKET_ISSUER,
} from "@atoll/protocol/tickets";
import { SignJWT } from "jose";

export interface TicketIssuerOptions {
  /** PKCS #8 PEM, Ed25519. Read at the first ticket. */
  privateKeyFile: string;
}

type Unsigned<T> = Omit<T, "jti" | "exp" | "sub"> & { userId: string };

export class TicketIssuer {
  readonly #options: TicketIssuerOptions;
  #key: KeyObject | undefined;

  constructor(options: TicketIssuerOptions) {
    this.#options = options;
  }

  session(claims: Unsigned<SessionTicketClaims>): Promise<string> {
    return this.#sign(claims, SESSION_TICKET);
  }

  preview(claims: Unsigned<PreviewTicketClaims>): Promise<string> {
    return this.#sign(claims, PREVIEW_TICKET);
  }

  #sign(
    { userId, ...claims }: { userId: string } & Record<string, unknown>,
    kind: { audience: string; lifetimeSeconds: number },
  ): Promise<string> {
    this.#key ??= createPrivateKey(readFileSync(/* turbopackIgnore: true */ this.#options.privateKeyFile));
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA" })
      .setIssuer(TICKET_ISSUER)
      .setAudience(kind.audience)
      .setSubject(userId)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${kind.lifetimeSeconds}s`)
      .sign(this.#key);
  }
}
