import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import {
  PREVIEW_TICKET,
  type PreviewTicketClaims,
  SESSION_TICKET,
  type SessionTicketClaims,
  TICKET_ISSUER,
} from "@atoll/protocol/tickets";
import { SignJWT } from "jose";

interface SignOptions {
  issuer?: string;
  audience?: string;
  /** Seconds from now. */
  lifetimeSeconds?: number;
  key?: KeyObject;
}

/** Signs passes as web does; each part can be made wrong. */
export class TicketOffice {
  readonly publicKey: KeyObject;
  readonly #privateKey: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  session(claims: Partial<SessionTicketClaims> = {}, options: SignOptions = {}): Promise<string> {
    const whole = {
      workspaceId: randomUUID(),
      slug: "blue-reef",
      planLabel: "Free",
      maxSessions: 1,
      authSessionId: randomUUID(),
      ...claims,
    };
    return this.#sign(whole, { ...SESSION_TICKET, ...options }, claims);
  }

  preview(claims: Partial<PreviewTicketClaims> = {}, options: SignOptions = {}): Promise<string> {
    const whole = {
      workspaceId: randomUUID(),
      slug: "blue-reef",
      port: 3000,
      authSessionId: randomUUID(),
      ...claims,
    };
    return this.#sign(whole, { ...PREVIEW_TICKET, ...options }, claims);
  }

  #sign(
    claims: Record<string, unknown>,
    options: SignOptions & { audience: string; lifetimeSeconds: number },
    ids: { jti?: string; sub?: string },
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA" })
      .setIssuer(options.issuer ?? TICKET_ISSUER)
      .setAudience(options.audience)
      .setSubject(ids.sub ?? randomUUID())
      .setJti(ids.jti ?? randomUUID())
      .setExpirationTime(now + options.lifetimeSeconds)
      .sign(options.key ?? this.#privateKey);
  }
}
