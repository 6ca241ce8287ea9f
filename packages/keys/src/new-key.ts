import { KEY_BYTES } from "./key-store.ts";
import { secretBytes } from "./secret-bytes.ts";

/** Random, the caller's to wipe. Filled in place: a copy of another buffer would leave that one behind. */
export function newKey(): Uint8Array {
  return crypto.getRandomValues(secretBytes(KEY_BYTES));
}
