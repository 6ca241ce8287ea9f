/** Stands for `qemu-img create`: makes what is read of its empty disk, a qcow2 with a LUKS header of few stripes. */
const LUKS_AT = 4096;
const MATERIAL_SECTOR = 8;
const STRIPES = 4;
const KEY_BYTES = 64;

export const FAKE_LUKS = { at: LUKS_AT, bytes: MATERIAL_SECTOR * 512 + STRIPES * KEY_BYTES } as const;

export function fakeEmptyDisk(): Buffer {
  const file = Buffer.alloc(FAKE_LUKS.at + FAKE_LUKS.bytes);
  file.write("QFI\xfb", 0, "latin1");
  file.writeUInt32BE(3, 4);
  file.writeUInt32BE(104, 100);
  file.writeUInt32BE(0x0537be77, 104);
  file.writeUInt32BE(16, 108);
  file.writeBigUInt64BE(BigInt(FAKE_LUKS.at), 112);
  file.writeBigUInt64BE(BigInt(FAKE_LUKS.bytes), 120);
  fakeLuksHeader(STRIPES).copy(file, FAKE_LUKS.at);
  return file;
}

/** As QEMU's tool lays one out: one key slot in use, seven not. */
export function fakeLuksHeader(stripes: number): Buffer {
  const header = Buffer.alloc(MATERIAL_SECTOR * 512 + stripes * KEY_BYTES);
  header.write("LUKS\xba\xbe", 0, "latin1");
  header.writeUInt16BE(1, 6);
  header.write("aes", 8);
  header.write("xts-plain64", 40);
  header.write("sha256", 72);
  header.writeUInt32BE(KEY_BYTES, 108);
  for (let slot = 0; slot < 8; slot++) {
    header.writeUInt32BE(slot === 0 ? 0x00ac71f3 : 0x0000dead, 208 + slot * 48);
    header.writeUInt32BE(MATERIAL_SECTOR, 208 + slot * 48 + 40);
    header.writeUInt32BE(stripes, 208 + slot * 48 + 44);
  }
  // Never all zeroes at the end, as key material is not.
  header[header.length - 1] = 1;
  return header;
}

const octal = [...fakeEmptyDisk()].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

/** Writes to the argument before the size. */
export const FAKE_QEMU_IMG = [
  ...["sh", "-c", 'text=$1; while [ $# -gt 2 ]; do shift; done; printf "$text" >"$1"', "qemu-img"],
  octal,
];
