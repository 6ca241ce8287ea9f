/** Ed25519 by WebCrypto: the same in browsers and Node. */
import { AtollError } from "@atoll/protocol/atoll-error";
import { fromBase64, toBase64 } from "./base64.ts";

const PEM = /^-----BEGIN (PRIVATE|PUBLIC) KEY-----([A-Za-z0-9+/=\s]+)-----END \1 KEY-----\s*$/;

/** `CryptoKey`: a global type in browsers, not in Node. */
export type WebCryptoKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

export interface SigningKey {
  privateKey: WebCryptoKey;
  publicKey: PublicKey;
}

export interface PublicKey {
  key: WebCryptoKey;
  /** Raw, base64. */
  base64: string;
  /** SHA-256 of the raw key, hex: what people compare. */
  keyId: string;
}

/** @param pems PKCS#8 and SPKI of one pair. @throws Error when they are not */
export async function importSigningKey(pems: { privatePem: string; publicPem: string }): Promise<SigningKey> {
  const privateKey = await crypto.subtle.importKey(
    "pkcs8",
    derOf(pems.privatePem, "PRIVATE"),
    "Ed25519",
    false,
    ["sign"],
  );
  const publicKey = await importPublicKey(pems.publicPem);
  const probe = new TextEncoder().encode("atoll receipt key probe");
  const signature = await crypto.subtle.sign("Ed25519", privateKey, probe);
  if (!(await crypto.subtle.verify("Ed25519", publicKey.key, signature, probe))) {
    throw new Error("the two halves of the receipt key do not belong together");
  }
  return { privateKey, publicKey };
}

/** @param pem SPKI. @throws Error when it is no Ed25519 public key */
export async function importPublicKey(pem: string): Promise<PublicKey> {
  const key = await crypto.subtle.importKey("spki", derOf(pem, "PUBLIC"), "Ed25519", true, ["verify"]);
  return describe(key, new Uint8Array(await crypto.subtle.exportKey("raw", key)));
}

/** @throws AtollError receipt.invalid */
export async function importRawPublicKey(base64: string): Promise<PublicKey> {
  const raw = fromBase64(base64);
  try {
    return await describe(await crypto.subtle.importKey("raw", raw, "Ed25519", true, ["verify"]), raw);
  } catch (cause) {
    // Not the receipt's fault, so never called invalid.
    if (cause instanceof DOMException && cause.name === "NotSupportedError") throw cause;
    throw new AtollError("receipt.invalid", "its public key is none", { cause, details: { reason: "form" } });
  }
}

async function describe(key: WebCryptoKey, raw: Uint8Array<ArrayBuffer>): Promise<PublicKey> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw));
  const keyId = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { key, base64: toBase64(raw), keyId };
}

function derOf(pem: string, kind: "PRIVATE" | "PUBLIC"): Uint8Array<ArrayBuffer> {
  const [, found, body = ""] = PEM.exec(pem.trim()) ?? [];
  if (found !== kind) throw new Error(`not a PEM file with a ${kind.toLowerCase()} key`);
  return fromBase64(body.replace(/\s/g, ""));
}
