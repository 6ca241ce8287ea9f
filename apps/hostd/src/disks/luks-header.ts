/**
 * LUKS 1 headers with a master key of their own, in milliseconds. QEMU's tools take 2 s for one, all of it measuring how
 * slow key derivation is; our passphrases are 32 random bytes, so that nothing is gained by making them slow to try.
 * Only a header that a tool of QEMU laid out is rewritten: offsets, cipher and hash stay as it chose them, and QEMU checks
 * every field when it opens the disk. Format: the LUKS On-Disk Format Specification 1.2.3.
 */

import {
  createCipheriv,
  createSecretKey,
  hash,
  pbkdf2,
  randomBytes,
  randomFillSync,
  randomUUID,
} from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { secretBytes } from "@atoll/keys/secret-bytes";

const MAGIC = Buffer.from("LUKS\xba\xbe", "latin1");
const VERSION = 1;
const SECTOR_BYTES = 512;
const SALT_BYTES = 32;
const DIGEST_BYTES = 20;
/** The least that the format's readers accept. */
const ITERATIONS = 1000;
const SLOT_ACTIVE = 0x00ac71f3;
const SLOT_INACTIVE = 0x0000dead;
const SLOT_COUNT = 8;
const SLOT_BYTES = 48;
const HASH_BYTES = 32;
/** Stripes between two looks at what else is to be done: 4000 of them take 40 ms of one core. */
const STRIPES_AT_ONCE = 250;

const derive = promisify(pbkdf2);

/** Byte offsets of the header's fields, all big endian. */
const AT = {
  version: 6,
  cipher: 8,
  mode: 40,
  hash: 72,
  keyBytes: 108,
  digest: 112,
  digestSalt: 132,
  digestIterations: 164,
  uuid: 168,
  slots: 208,
} as const;
const SLOT_AT = { state: 0, iterations: 4, salt: 8, material: 40, stripes: 44 } as const;

/**
 * Gives `header` (all bytes before the payload) a new random master key, opened by `passphrase` in slot 0 alone.
 * @throws RangeError when it is no header of the one layout this handles
 */
export async function rekeyLuksHeader(header: Buffer, passphrase: Uint8Array): Promise<void> {
  requireLayout(header);
  const keyBytes = header.readUInt32BE(AT.keyBytes);
  const slot = header.subarray(AT.slots, AT.slots + SLOT_BYTES);
  const stripes = slot.readUInt32BE(SLOT_AT.stripes);
  const materialAt = slot.readUInt32BE(SLOT_AT.material) * SECTOR_BYTES;
  const masterKey = Buffer.from(secretBytes(keyBytes).buffer);
  randomFillSync(masterKey);
  const digestSalt = randomBytes(SALT_BYTES);
  const salt = randomBytes(SALT_BYTES);
  const slotKey = await derive(passphrase, salt, ITERATIONS, keyBytes, "sha256");
  const material = await splitKey(masterKey, stripes);
  try {
    digestSalt.copy(header, AT.digestSalt);
    (await derive(masterKey, digestSalt, ITERATIONS, DIGEST_BYTES, "sha256")).copy(header, AT.digest);
    header.writeUInt32BE(ITERATIONS, AT.digestIterations);
    header.fill(0, AT.uuid, AT.slots);
    header.write(randomUUID(), AT.uuid, "latin1");
    slot.writeUInt32BE(SLOT_ACTIVE, SLOT_AT.state);
    slot.writeUInt32BE(ITERATIONS, SLOT_AT.iterations);
    salt.copy(slot, SLOT_AT.salt);
    encryptSectors(material, slotKey).copy(header, materialAt);
  } finally {
    for (const secret of [masterKey, slotKey, material]) secret.fill(0);
  }
}

function requireLayout(header: Buffer): void {
  const text = (at: number) => header.toString("latin1", at, header.indexOf(0, at));
  const isKnown =
    header.length > AT.slots + SLOT_COUNT * SLOT_BYTES &&
    header.subarray(0, MAGIC.length).equals(MAGIC) &&
    header.readUInt16BE(AT.version) === VERSION &&
    text(AT.cipher) === "aes" &&
    text(AT.mode) === "xts-plain64" &&
    text(AT.hash) === "sha256" &&
    header.readUInt32BE(AT.keyBytes) === 64;
  if (!isKnown) throw new RangeError("not a LUKS header of QEMU's layout");
  for (let index = 0; index < SLOT_COUNT; index++) {
    const slot = header.subarray(AT.slots + index * SLOT_BYTES);
    if (slot.readUInt32BE(SLOT_AT.state) !== (index === 0 ? SLOT_ACTIVE : SLOT_INACTIVE))
      throw new RangeError("key slots other than the first are in use");
  }
  const first = header.subarray(AT.slots);
  const materialEnd =
    first.readUInt32BE(SLOT_AT.material) * SECTOR_BYTES + first.readUInt32BE(SLOT_AT.stripes) * 64;
  if (materialEnd > header.length) throw new RangeError("the key slot lies outside the header");
}

/** All stripes but the last, whose place holds what the key is XORed with. */
let prefix: Promise<Buffer> | undefined;

/**
 * The format's splitter: blocks of which every single one is needed. It spreads a key so that it goes with any of its
 * sectors; ours goes with its passphrase, and the blocks are secret only by that. So all of a process's headers have the
 * same ones but the last, and 8000 hashes are made once.
 */
async function splitKey(key: Buffer, stripes: number): Promise<Buffer> {
  let known = await prefix;
  if (known?.length !== key.length * stripes) {
    prefix = makePrefix(key.length, stripes);
    known = await prefix;
  }
  const split = Buffer.from(known);
  xorInto(split.subarray((stripes - 1) * key.length), key, 0);
  return split;
}

async function makePrefix(size: number, stripes: number): Promise<Buffer> {
  const split = randomBytes(size * stripes);
  const carried = Buffer.alloc(size);
  for (let stripe = 0; stripe < stripes - 1; stripe++) {
    if (stripe % STRIPES_AT_ONCE === STRIPES_AT_ONCE - 1) await nextTurn();
    xorInto(carried, split, stripe * size);
    diffuse(carried);
  }
  carried.copy(split, (stripes - 1) * size);
  return split;
}

function xorInto(target: Buffer, source: Buffer, at: number): void {
  for (let index = 0; index < target.length; index++) {
    target[index] = (target[index] as number) ^ (source[at + index] as number);
  }
}

/** Hashes each hash-sized block with its number in front. */
function diffuse(block: Buffer): void {
  const numbered = Buffer.alloc(4 + HASH_BYTES);
  for (let index = 0; index < block.length / HASH_BYTES; index++) {
    const at = index * HASH_BYTES;
    numbered.writeUInt32BE(index, 0);
    block.copy(numbered, 4, at, at + HASH_BYTES);
    hash("sha256", numbered, "buffer").copy(block, at);
  }
  numbered.fill(0);
}

/** XTS with the sector number as its tweak, counted from the first byte. */
function encryptSectors(plain: Buffer, keyBytes: Buffer): Buffer {
  // Told apart from bytes once, and not for each of hundreds of ciphers: that costs more than all the encryption.
  const key = createSecretKey(keyBytes);
  const sectors: Buffer[] = [];
  const tweak = Buffer.alloc(16);
  for (let at = 0; at < plain.length; at += SECTOR_BYTES) {
    tweak.writeUInt32LE(at / SECTOR_BYTES, 0);
    sectors.push(createCipheriv("aes-256-xts", key, tweak).update(plain.subarray(at, at + SECTOR_BYTES)));
  }
  return Buffer.concat(sectors);
}
