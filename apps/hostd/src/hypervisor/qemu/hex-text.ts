import { secretBytes } from "@atoll/keys/secret-bytes";

const DIGITS = Buffer.from("0123456789abcdef");

/** A key as QEMU wants it, text, without making a string of it: nothing could wipe that. The caller zeroes it. */
export function hexText(key: Uint8Array): Buffer {
  const text = Buffer.from(secretBytes(key.length * 2).buffer);
  for (const [index, byte] of key.entries()) {
    text[index * 2] = DIGITS[byte >> 4] as number;
    text[index * 2 + 1] = DIGITS[byte & 15] as number;
  }
  return text;
}
