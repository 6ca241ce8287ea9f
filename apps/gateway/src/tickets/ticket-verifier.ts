import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import {
  PREVIEW_TICKET,
  type PreviewTicketClaims,
  previewTicketClaims,
  SESSION_TICKET,
  type SessionTicketClaims,
  sessionTicketClaims,
  TICKET_ISSUER,
} from "@atoll/protocol/tickets";
import { errors, jwtVerify } from "jose";
import type { z } from "zod";

/** Web's clock may run this far ahead of ours; a ticket that lives longer than its kind is not web's. */
const CLOCK_SLACK_SECONDS = 30;

/** Checks passes offline: signature, issuer, audience, expiry, shape. */
export class TicketVerifier {
  readonly #key: KeyObject;
  readonly #clock: Clock;

  constructor(options: { key: KeyObject; clock: Clock }) {
    this.#key = options.key;
    this.#clock = options.clock;
  }

  /** @throws AtollError ticket.invalid, ticket.expired */
  session(token: string): Promise<SessionTicketClaims> {
    return this.#verify(token, SESSION_TICKET, sessionTicketClaims);
  }

  /** @throws AtollError ticket.invalid, ticket.expired */
  preview(token: string): Promise<PreviewTicketClaims> {
    return this.#verify(token, PREVIEW_TICKET, previewTicketClaims);
  }

  async #verify<S extends z.ZodType<{ exp: number }>>(
    token: string,
    kind: { audience: string; lifetimeSeconds: number },
    schema: S,
  ): Promise<z.output<S>> {
    const nowMs = this.#clock.now();
    let payload: unknown;
    try {
      const verified = await jwtVerify(token, this.#key, {
        algorithms: ["EdDSA"],
        issuer: TICKET_ISSUER,
        audience: kind.audience,
        currentDate: new Date(nowMs),
        requiredClaims: ["exp"],
      });
      payload = verified.payload;
    } catch (cause) {
      const code = cause instanceof errors.JWTExpired ? "ticket.expired" : "ticket.invalid";
      throw new AtollError(code, undefined, { cause });
    }
    const claims = schema.safeParse(payload);
    if (!claims.success) throw new AtollError("ticket.invalid", undefined, { cause: claims.error });
    if (claims.data.exp > nowMs / 1000 + kind.lifetimeSeconds + CLOCK_SLACK_SECONDS) {
      throw new AtollError("ticket.invalid", "lives longer than its kind");
    }
    return claims.data;
  }
}

/** @throws Error when the file is missing or holds no Ed25519 public key. */
export async function readTicketKey(path: string): Promise<KeyObject> {
  const key = createPublicKey(await readFile(path));
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`${path}: not an Ed25519 public key`);
  return key;
}
