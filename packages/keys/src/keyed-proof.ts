import { createHmac, timingSafeEqual } from "node:crypto";
import { deriveKey, type KeyPurpose } from "./derive-key.ts";

/** HMAC-SHA-256 over `text` under the key that `key` gives for `purpose`; 64 hex digits. */
export function keyedProof(key: Uint8Array, purpose: KeyPurpose, text: string): string {
  const proving = deriveKey(key, purpose);
  try {
    return createHmac("sha256", proving).update(text).digest("hex");
  } finally {
    proving.fill(0);
  }
}

/** Takes the same time wherever two proofs differ. */
export function areSameProof(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one, "hex"), Buffer.from(other, "hex")];
  return first.length === second.length && timingSafeEqual(first, second);
}
