import { toBase64 } from "../base64.ts";
import { type ErasureReceipt, RECEIPT_LIMITS } from "../erasure-receipt.ts";
import { importSigningKey, type SigningKey, type WebCryptoKey } from "../receipt-key.ts";

export interface KeyPems {
  privatePem: string;
  publicPem: string;
}

export async function makeKeyPems(): Promise<KeyPems> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as {
    privateKey: WebCryptoKey;
    publicKey: WebCryptoKey;
  };
  const pem = async (format: "pkcs8" | "spki", key: WebCryptoKey, name: string) => {
    const der = toBase64(new Uint8Array(await crypto.subtle.exportKey(format, key)));
    return `-----BEGIN ${name} KEY-----\n${der}\n-----END ${name} KEY-----\n`;
  };
  return {
    privatePem: await pem("pkcs8", pair.privateKey, "PRIVATE"),
    publicPem: await pem("spki", pair.publicKey, "PUBLIC"),
  };
}

export async function makeSigningKey(): Promise<SigningKey> {
  return importSigningKey(await makeKeyPems());
}

export function sampleReceipt(keyId: string, changes: Partial<ErasureReceipt> = {}): ErasureReceipt {
  return {
    format: "atoll-erasure-receipt",
    version: 1,
    receiptId: "00000000-0000-4000-8000-000000000001",
    status: "erased",
    scope: "account",
    subjectHash: "a".repeat(64),
    counts: { workspaces: 1, keys: 2 },
    keys: [
      {
        of: "account",
        subjectHash: "a".repeat(64),
        commitment: "c".repeat(64),
        destroyedAtMs: 2_000,
        dataUnlinkedAtMs: null,
      },
      {
        of: "workspace",
        subjectHash: "b".repeat(64),
        commitment: "d".repeat(64),
        destroyedAtMs: 1_500,
        dataUnlinkedAtMs: 1_600,
      },
    ],
    requestedAtMs: 1_000,
    keysDestroyedAtMs: 2_000,
    dataUnlinkedAtMs: 1_600,
    issuedAtMs: 3_000,
    backupHorizonAtMs: null,
    issuer: { origin: "https://atoll.example", keyId },
    cannotProve: [...RECEIPT_LIMITS],
    ...changes,
  };
}
