import fc from "fast-check";
import { expect, test } from "vitest";
import { describeReceipt } from "./describe-receipt.ts";
import { type ErasureReceipt, erasureReceipt } from "./erasure-receipt.ts";
import { importPublicKey, importSigningKey } from "./receipt-key.ts";
import { signReceipt } from "./sign-receipt.ts";
import { makeKeyPems, makeSigningKey, sampleReceipt } from "./testing/sample-receipt.ts";
import { verifyReceipt } from "./verify-receipt.ts";

const key = await makeSigningKey();
const receipt = sampleReceipt(key.publicKey.keyId);
const text = await signReceipt(receipt, key);

const reasonOf = (changed: string, issuer = key.publicKey) =>
  verifyReceipt(changed, issuer).then(
    () => "holds",
    (error: { code?: string; details?: { reason?: unknown } }) =>
      error.code === "receipt.invalid" ? error.details?.reason : error,
  );

test("what was signed holds, by the issuer's key and by the one that came with it", async () => {
  expect(await verifyReceipt(text, key.publicKey)).toEqual({
    receipt,
    keyId: key.publicKey.keyId,
    isIssuerKnown: true,
  });
  expect(await verifyReceipt(text)).toMatchObject({ isIssuerKnown: false });
  expect(await reasonOf(text.replaceAll("\n", "\r\n"))).toBe("holds");
});

test("no byte of the file can be changed, removed or added", async () => {
  const bytes = new TextEncoder().encode(text);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom("flip", "remove", "add"),
      async (at, mask, how) => {
        const changed = [...bytes];
        if (how === "flip") changed[at] = (changed[at] ?? 0) ^ mask;
        else if (how === "remove") changed.splice(at, 1);
        else changed.splice(at, 0, mask & 0x7f);
        const decoded = new TextDecoder().decode(new Uint8Array(changed));
        if (decoded.replaceAll("\r\n", "\n") === text) return;
        expect(["unreadable", "version", "form", "changed", "signature", "issuer"]).toContain(
          await reasonOf(decoded),
        );
      },
    ),
    { numRuns: 400 },
  );
});

test("another figure, another signer and another version are each told by their reason", async () => {
  const other = await makeSigningKey();
  const forged = await signReceipt(sampleReceipt(other.publicKey.keyId), other);
  const changed = (from: string, to: string) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  };
  expect(await reasonOf(forged)).toBe("issuer");
  expect(await reasonOf(changed('"requestedAtMs": 1000', '"requestedAtMs": 1001'))).toBe("signature");
  expect(await reasonOf(changed('"workspaces": 1', '"workspaces": 2'))).toBe("signature");
  expect(await reasonOf(changed('"keys": 2', '"keys": 3'))).toBe("form");
  expect(await reasonOf(changed('"version": 1', '"version": 2'))).toBe("version");
  expect(await reasonOf(changed('"status": "erased"', '"status": "pending"'))).toBe("form");
  expect(await reasonOf(changed(key.publicKey.keyId, other.publicKey.keyId))).toBe("issuer");
  expect(await reasonOf(changed('"scope": "account"', '"scope": "workspace",\n    "scope": "account"'))).toBe(
    "changed",
  );
  expect(await reasonOf(text.slice(0, -20))).toBe("unreadable");
  expect(await reasonOf("[]")).toBe("form");
  expect(await reasonOf("null")).toBe("form");
});

test.each<[string, unknown]>([
  ["pending", { status: "pending" }],
  ["with a key that still exists", { keysDestroyedAtMs: null }],
  ["with figures that do not agree", { counts: { workspaces: 1, keys: 1 } }],
])("what is %s cannot be signed", async (_, changes) => {
  const draft = sampleReceipt(key.publicKey.keyId, changes as Partial<ErasureReceipt>);
  await expect(signReceipt(draft, key)).rejects.toThrow();
  expect(erasureReceipt.safeParse(draft).success).toBe(false);
});

test("two halves that do not belong together are no key", async () => {
  const [one, other] = [await makeKeyPems(), await makeKeyPems()];
  await expect(importSigningKey({ ...one, publicPem: other.publicPem })).rejects.toThrow("belong together");
  await expect(importPublicKey(one.privatePem)).rejects.toThrow("PEM");
  expect((await importPublicKey(one.publicPem)).keyId).toMatch(/^[0-9a-f]{64}$/);
});

test("says in words what it states, and never that it is erased without a key's destruction", () => {
  const words = describeReceipt(receipt).join("\n");
  expect(words).toContain("an account with 1 workspace");
  expect(words).toContain("2 keys destroyed, the last at 1970-01-01 00:00:02 UTC");
  const none = {
    counts: { workspaces: 0, keys: 0 },
    keys: [],
    keysDestroyedAtMs: null,
    dataUnlinkedAtMs: null,
  };
  expect(describeReceipt(sampleReceipt(key.publicKey.keyId, none)).join("\n")).toContain(
    "No key had ever been made",
  );
});
