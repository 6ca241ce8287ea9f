/**
 * What a simulated disk layer is made of: a qcow2 with a small LUKS header, as the disk tool leaves it, then one encrypted
 * line per word that a guest wrote. It opens with the passphrase that the header was made for and no other.
 */
import { createCipheriv, createDecipheriv, createHash, pbkdf2Sync } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { AtollError } from "@atoll/protocol/atoll-error";
import { hexText } from "../../hypervisor/qemu/hex-text.ts";

const HEAD_BYTES = 4096;
const LUKS_AT = 512;
const LUKS_BYTES = 2048;
const MATERIAL_SECTOR = 2;
const KEY_BYTES = 64;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
let nonces = 0;
/** Headers that were found to open with a key. */
const opened = new Set<string>();

/** An empty qcow2 as qemu-img would lay it out, with one key stripe in place of thousands. */
export function emptyQcow2(): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES, 0x20);
  bytes.fill(0, 0, LUKS_AT + LUKS_BYTES);
  bytes.writeUInt32BE(0x514649fb, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(104, 100);
  bytes.writeUInt32BE(0x0537be77, 104);
  bytes.writeUInt32BE(16, 108);
  bytes.writeBigUInt64BE(BigInt(LUKS_AT), 112);
  bytes.writeBigUInt64BE(BigInt(LUKS_BYTES), 120);
  const luks = bytes.subarray(LUKS_AT);
  luks.write("LUKS\xba\xbe", "latin1");
  luks.writeUInt16BE(1, 6);
  luks.write("aes", 8);
  luks.write("xts-plain64", 40);
  luks.write("sha256", 72);
  luks.writeUInt32BE(KEY_BYTES, 108);
  for (let slot = 0; slot < 8; slot++) {
    const at = 208 + slot * 48;
    luks.writeUInt32BE(slot === 0 ? 0x00ac71f3 : 0x0000dead, at);
    luks.writeUInt32BE(MATERIAL_SECTOR, at + 40);
    luks.writeUInt32BE(1, at + 44);
  }
  return bytes;
}

/** The words in it, oldest first. @throws AtollError vm.start_failed when the file is gone or the key is not its */
export function readLayer(path: string, key: Uint8Array): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new AtollError("vm.start_failed", `no disk ${path}`, { cause });
  }
  const head = bytes.subarray(0, HEAD_BYTES);
  const print = createHash("sha256").update(head).update(key).digest("hex");
  if (!opened.has(print)) {
    if (head.length < HEAD_BYTES || !opens(head.subarray(LUKS_AT), key)) {
      throw new AtollError("vm.start_failed", `the key does not open ${path}`);
    }
    opened.add(print);
  }
  const lines = bytes.subarray(HEAD_BYTES).toString().split("\n");
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
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAuthTag(bytes.subarray(-TAG_BYTES));
  return Buffer.concat([
    decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)),
    decipher.final(),
  ]).toString();
}

/** As a reader of the format tries a passphrase: the master key of slot 0 must have the digest that is written down. */
function opens(luks: Buffer, key: Uint8Array): boolean {
  const slot = luks.subarray(208);
  const slotKey = pbkdf2Sync(hexText(key), slot.subarray(8, 40), slot.readUInt32BE(4), KEY_BYTES, "sha256");
  const material = luks.subarray(MATERIAL_SECTOR * 512, MATERIAL_SECTOR * 512 + KEY_BYTES);
  const masterKey = createDecipheriv("aes-256-xts", slotKey, Buffer.alloc(16)).update(material);
  const digest = pbkdf2Sync(masterKey, luks.subarray(132, 164), luks.readUInt32BE(164), 20, "sha256");
  return digest.equals(luks.subarray(112, 132));
}
