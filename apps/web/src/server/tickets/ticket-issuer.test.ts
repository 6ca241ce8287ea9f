import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  PREVIEW_TICKET,
  previewTicketClaims,
  SESSION_TICKET,
  sessionTicketClaims,
} from "@atoll/protocol/tickets";
import { jwtVerify } from "jose";
import { afterAll, describe, expect, it } from "vitest";
import { TicketIssuer } from "./ticket-issuer.ts";

const directory = mkdtempSync(join(tmpdir(), "atoll-tickets-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const privateKeyFile = join(directory, "ticket.pem");
writeFileSync(privateKeyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
const issuer = new TicketIssuer({ privateKeyFile });
const common = {
  userId: randomUUID(),
  workspaceId: randomUUID(),
  slug: "calm-otter-x7k2m9",
  authSessionId: randomUUID(),
};

describe("tickets", () => {
  it("carries the session claims for 60 s and is no preview ticket", async () => {
    const ticket = await issuer.session({ ...common, planLabel: "Free", maxSessions: 1 });
    const { payload } = await jwtVerify(ticket, publicKey, { audience: SESSION_TICKET.audience });
    const claims = sessionTicketClaims.parse(payload);
    expect(claims).toMatchObject({ sub: common.userId, workspaceId: common.workspaceId, maxSessions: 1 });
    expect(claims.exp - (payload.iat ?? 0)).toBe(SESSION_TICKET.lifetimeSeconds);
    await expect(jwtVerify(ticket, publicKey, { audience: PREVIEW_TICKET.audience })).rejects.toThrow();
  });

  it("gives each preview ticket its own id", async () => {
    const ids = await Promise.all(
      [1, 2].map(async () => {
        const ticket = await issuer.preview({ ...common, port: 5173 });
        const { payload } = await jwtVerify(ticket, publicKey, { audience: PREVIEW_TICKET.audience });
        return previewTicketClaims.parse(payload).jti;
      }),
    );
    expect(new Set(ids).size).toBe(2);
  });
});
