/**
 * What a simulated disk layer is made of: a header that knows its key by a hash, then one encrypted line per word that a
 * guest wrote. Nothing of it can be read without the layer's key, as with the real thing.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { AtollError } from "@atoll/protocol/atoll-error";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
let nonces = 0;

const keyHash = (key: Uint8Array) => createHash("sha256").update("sim layer").update(key).digest("hex");

/** An empty layer. */
export function newLayerBytes(key: Uint8Array): string {
  return `${keyHash(key)}\n`;
}

/** The words in it, oldest first. @throws AtollError vm.start_failed when the file is gone or the key is not its */
export function readLayer(path: string, key: Uint8Array): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new AtollError("vm.start_failed", `no disk ${path}`, { cause });
  }
  const [header, ...lines] = text.split("\n");
  if (header !== keyHash(key)) throw new AtollError("vm.start_failed", `the key does not open ${path}`);
  return lines.filter((line) => line !== "").map((line) => open(line, key));
}

export function appendWord(path: string, key: Uint8Array, word: string): void {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(nonces++);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([nonce, cipher.update(word), cipher.final(), cipher.getAuthTag()]);
  appendFileSync(path, `${sealed.toString("base64")}\n`);
}

function open(line: string, key: Uint8Array): string {
  const bytes = Buffer.from(line, "base64");
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES)).setAuthTag(
    bytes.subarray(-TAG_BYTES),
  );
  return Buffer.concat([
    decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)),
    decipher.final(),
  ]).toString();
}
