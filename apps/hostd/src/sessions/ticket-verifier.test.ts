import { randomUUID } from "node:crypto";
import { ManualClock } from "@atoll/base/manual-clock";
import { PREVIEW_TICKET } from "@atoll/protocol/tickets";
import { expect, it } from "vitest";
import { TicketMaker } from "../testing/ticket-maker.ts";
import { TicketVerifier } from "./ticket-verifier.ts";

const workspaceId = randomUUID();

async function made() {
  const clock = new ManualClock();
  const maker = new TicketMaker(clock);
  return { clock, maker, verifier: await TicketVerifier.fromPem(maker.publicPem, clock) };
}

it("reads the claims of a good ticket, once", async () => {
  const { maker, verifier } = await made();
  const ticket = await maker.make({ workspaceId });
  expect(await verifier.verify(ticket)).toMatchObject({ workspaceId, maxSessions: 1 });
  await expect(verifier.verify(ticket)).rejects.toMatchObject({ code: "ticket.used" });
});

it("accepts a replay no later either: expired when it is no longer remembered", async () => {
  const { clock, maker, verifier } = await made();
  const ticket = await maker.make({ workspaceId });
  await verifier.verify(ticket);
  for (const seconds of [59, 5, 1, 60]) {
    clock.advance(seconds * 1000);
    await verifier.verify(await maker.make({ workspaceId }));
    await expect(verifier.verify(ticket)).rejects.toMatchObject({
      code: expect.stringMatching(/^ticket\.(used|expired)$/),
    });
  }
});

it.each([
  ["another audience", { audience: PREVIEW_TICKET.audience }, "ticket.invalid"],
  ["another issuer", { issuer: "somebody" }, "ticket.invalid"],
  ["an end in the past", { lifetimeSeconds: -10 }, "ticket.expired"],
  ["too long a life", { lifetimeSeconds: 3600 }, "ticket.invalid"],
  ["a subject that is no user", { sub: "root" }, "ticket.invalid"],
  ["an id that is no UUID", { jti: "1" }, "ticket.invalid"],
])("refuses %s", async (_name, wishes, code) => {
  const { maker, verifier } = await made();
  const ticket = await maker.make({ workspaceId, ...wishes });
  await expect(verifier.verify(ticket)).rejects.toMatchObject({ code });
});

it("refuses another signer, altered claims, no signature and rubbish", async () => {
  const { clock, maker, verifier } = await made();
  const foreign = await new TicketMaker(clock).make({ workspaceId });
  const good = await maker.make({ workspaceId });
  const [header, body, signature] = good.split(".") as [string, string, string];
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
  const altered = Buffer.from(JSON.stringify({ ...claims, maxSessions: 99 })).toString("base64url");
  const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  for (const ticket of [
    foreign,
    `${header}.${altered}.${signature}`,
    `${none}.${body}.`,
    "rubbish",
    "",
    "...",
  ]) {
    await expect(verifier.verify(ticket)).rejects.toMatchObject({ code: "ticket.invalid" });
  }
});
