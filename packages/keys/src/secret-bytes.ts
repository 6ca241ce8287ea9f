/**
 * Zeroed bytes for a key, the caller's to wipe. Behind a buffer of their own: V8 keeps small arrays on its heap, where
 * collecting garbage copies them about, and nobody could wipe those copies.
 */
export function secretBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** A second copy, to be wiped on its own. */
export function copySecret(secret: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = secretBytes(secret.length);
  copy.set(secret);
  return copy;
}
