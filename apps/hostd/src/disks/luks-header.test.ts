import { createDecipheriv, hash, pbkdf2Sync, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { fakeLuksHeader } from "../testing/fake-qemu-img.ts";
import { rekeyLuksHeader } from "./luks-header.ts";

/** The master key as the format's readers find it, or undefined when the passphrase opens nothing. */
function open(header: Buffer, passphrase: Buffer): Buffer | undefined {
  const stripes = header.readUInt32BE(208 + 44);
  const material = header.subarray(header.readUInt32BE(208 + 40) * 512).subarray(0, stripes * 64);
  const slotKey = pbkdf2Sync(
    ...[passphrase, header.subarray(216, 248)],
    ...([header.readUInt32BE(212), 64, "sha256"] as const),
  );
  const split = Buffer.concat(
    Array.from({ length: Math.ceil(material.length / 512) }, (_, sector) => {
      const tweak = Buffer.alloc(16);
      tweak.writeUInt32LE(sector);
      const part = material.subarray(sector * 512, (sector + 1) * 512);
      return createDecipheriv("aes-256-xts", slotKey, tweak).update(part);
    }),
  );
  let key = Buffer.alloc(64);
  for (let stripe = 0; stripe < stripes; stripe++) {
    const part = split.subarray(stripe * 64, (stripe + 1) * 64);
    key = Buffer.from(key.map((byte, index) => byte ^ (part[index] as number)));
    if (stripe === stripes - 1) break;
    key = Buffer.concat(
      [0, 1].map((block) => {
        const number = Buffer.alloc(4);
        number.writeUInt32BE(block);
        return hash("sha256", Buffer.concat([number, key.subarray(block * 32, block * 32 + 32)]), "buffer");
      }),
    );
  }
  const digest = pbkdf2Sync(key, header.subarray(132, 164), header.readUInt32BE(164), 20, "sha256");
  return digest.equals(header.subarray(112, 132)) ? key : undefined;
}

test("each header has a master key of its own, opened by its passphrase alone", async () => {
  const passphrases = [randomBytes(64), randomBytes(64)] as const;
  const keys: Buffer[] = [];
  for (const [index, passphrase] of passphrases.entries()) {
    const header = fakeLuksHeader(4000);
    await rekeyLuksHeader(header, passphrase);
    const key = open(header, passphrase);
    expect(key).toHaveLength(64);
    expect(open(header, passphrases[1 - index] as Buffer)).toBeUndefined();
    keys.push(key as Buffer);
  }
  expect(keys[0]?.equals(keys[1] as Buffer)).toBe(false);
});

test("a header anew forgets the passphrase before", async () => {
  const header = fakeLuksHeader(40);
  const [first, second] = [randomBytes(64), randomBytes(64)];
  await rekeyLuksHeader(header, first);
  await rekeyLuksHeader(header, second);
  expect(open(header, first)).toBeUndefined();
  expect(open(header, second)).toBeDefined();
});

test.each([
  ["magic", (header: Buffer) => header.fill(0, 0, 6)],
  ["version", (header: Buffer) => header.writeUInt16BE(2, 6)],
  ["cipher", (header: Buffer) => header.write("serpent", 8)],
  ["hash", (header: Buffer) => header.write("sha1\0\0", 72)],
  ["a second slot in use", (header: Buffer) => header.writeUInt32BE(0x00ac71f3, 256)],
  ["material outside", (header: Buffer) => header.writeUInt32BE(1_000_000, 208 + 40)],
])("a header with another %s is refused", async (_name, change) => {
  const header = fakeLuksHeader(40);
  change(header);
  await expect(rekeyLuksHeader(header, randomBytes(64))).rejects.toThrow(RangeError);
});
