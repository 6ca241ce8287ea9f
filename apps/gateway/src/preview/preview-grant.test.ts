import { randomUUID } from "node:crypto";
import { ManualClock } from "@atoll/base/manual-clock";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { expect, test } from "vitest";
import { setGrantCookies, splitCookies } from "./grant-cookie.ts";
import { GrantSigner } from "./preview-grant.ts";

const grant = {
  workspaceId: randomUUID(),
  userId: randomUUID(),
  authSessionId: randomUUID(),
  slug: "blue-reef",
  port: 3000,
};

function signers() {
  const clock = new ManualClock();
  const signer = new GrantSigner({ key: Buffer.alloc(32, 1), clock });
  return { clock, signer, other: new GrantSigner({ key: Buffer.alloc(32, 2), clock }) };
}

test("opens its own grants for twelve hours", () => {
  const { clock, signer } = signers();
  const text = signer.sign(grant);
  expect(signer.open(text)).toMatchObject(grant);
  clock.advance(PREVIEW_GRANT_SECONDS * 1000);
  expect(signer.open(text)).toBeUndefined();
});

test("anything altered, foreign or malformed opens nothing", () => {
  const { signer, other } = signers();
  const text = signer.sign(grant);
  const [body = "", mac = ""] = text.split(".");
  const forged = Buffer.from(JSON.stringify({ ...grant, port: 3001, exp: 4e9 })).toString("base64url");
  const bad = [
    "",
    ".",
    body,
    `${body}.`,
    `.${mac}`,
    `${forged}.${mac}`,
    `${text}x`,
    other.sign(grant),
    "a.b.c",
  ];
  expect(bad.map((text) => signer.open(text))).toEqual(bad.map(() => undefined));
});

test("the guest never sees our cookies, and keeps all of its own", () => {
  const own = setGrantCookies("v1").map((cookie) => cookie.split(";", 1)[0]);
  const split = splitCookies(`a=1; ${own[0]};b="x=y" ;${own[1]}; =odd; flag; atoll-preview-frame =v2`);
  expect(split).toEqual({ grants: ["v1", "v1", "v2"], rest: 'a=1; b="x=y"; =odd; flag' });
  expect(splitCookies(undefined)).toEqual({ grants: [], rest: "" });
});
