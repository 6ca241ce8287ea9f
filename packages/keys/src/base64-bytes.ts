import { secretBytes } from "./secret-bytes.ts";

/** Base64 between bytes: keys on their way never become strings, which nobody can wipe. */
const ALPHABET = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PADDING = 0x3d;
const VALUES = new Int8Array(256).fill(-1);
for (const [value, code] of ALPHABET.entries()) VALUES[code] = value;

/** The caller wipes the result. */
export function encodeBase64(bytes: Uint8Array): Buffer {
  const text = Buffer.alloc(4 * Math.ceil(bytes.length / 3), PADDING);
  for (let at = 0, to = 0; at < bytes.length; at += 3, to += 4) {
    const [first, second, third] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
    text[to] = ALPHABET[first >> 2] ?? 0;
    text[to + 1] = ALPHABET[((first & 3) << 4) | (second >> 4)] ?? 0;
    if (at + 1 < bytes.length) text[to + 2] = ALPHABET[((second & 15) << 2) | (third >> 6)] ?? 0;
    if (at + 2 < bytes.length) text[to + 3] = ALPHABET[third & 63] ?? 0;
  }
  return text;
}

/** The caller wipes the result. Undefined for anything but standard, padded base64. */
export function decodeBase64(text: Uint8Array): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text[end - 1] === PADDING) end -= 1;
  const bytes = secretBytes(Math.floor((end * 3) / 4));
  for (let at = 0, to = 0, held = 0; at < end; at += 1) {
    const value = VALUES[text[at] ?? 0] ?? -1;
    if (value < 0) {
      bytes.fill(0);
      return undefined;
    }
    held = ((held << 6) | value) & 0xffffff;
    if (at % 4 > 0) bytes[to++] = (held >> (6 - 2 * (at % 4))) & 0xff;
  }
  return bytes;
}
