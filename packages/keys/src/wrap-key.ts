import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { KEY_BYTES } from "./key-store.ts";
import { secretBytes } from "./secret-bytes.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Base64 of nonce, ciphertext and tag. */
export const wrappedKey = z.base64().length(4 * Math.ceil((NONCE_BYTES + KEY_BYTES + TAG_BYTES) / 3));

/** AES-256-GCM with a random nonce: a wrapping key wraps far fewer keys than make a repeated nonce thinkable. */
export function wrapKey(wrappingKey: Uint8Array, key: Uint8Array, context: string): string {
  if (key.length !== KEY_BYTES) throw new RangeError(`key of ${key.length} bytes`);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", wrappingKey, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]).toString("base64");
}

/** The caller wipes the result. @throws AtollError key.not_found when it was wrapped by another key or for another context */
export function unwrapKey(wrappingKey: Uint8Array, wrapped: string, context: string): Uint8Array {
  const bytes = Buffer.from(wrapped, "base64");
  if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES)
    throw new AtollError("key.not_found", "wrapped key is cut");
  const decipher = createDecipheriv("aes-256-gcm", wrappingKey, bytes.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  const key = secretBytes(KEY_BYTES);
  const part = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    decipher.final();
    key.set(part);
    return key;
  } catch (cause) {
    throw new AtollError("key.not_found", "this key does not open it", { cause });
  } finally {
    part.fill(0);
  }
}
