import { inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const ZIP64_END_LOCATOR = 0x07064b50;
const ZIP64_EXTRA = 0x0001;
/** "Look into the 64-bit field instead." */
const ELSEWHERE = 0xffffffff;

/** Names and contents of the files in a zip, read from its central directory as unzip does. */
export function zipEntries(zip: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>();
  let { at, count } = directoryOf(zip);
  for (; count > 0; count -= 1) {
    const method = zip.readUInt16LE(at + 10);
    const nameBytes = zip.readUInt16LE(at + 28);
    const extraBytes = zip.readUInt16LE(at + 30);
    const name = zip.toString("utf8", at + 46, at + 46 + nameBytes);
    const extra = zip.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes);
    const [, packedBytes = 0, local = 0] = wide(
      [zip.readUInt32LE(at + 24), zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 42)],
      extra,
    );
    const dataAt = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const data = zip.subarray(dataAt, dataAt + packedBytes);
    if (!name.endsWith("/")) entries.set(name, method === 0 ? Buffer.from(data) : inflateRawSync(data));
    at += 46 + nameBytes + extraBytes + zip.readUInt16LE(at + 32);
  }
  return entries;
}

function directoryOf(zip: Buffer): { at: number; count: number } {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== END_OF_DIRECTORY) end -= 1;
  if (end < 0) throw new Error("no zip: it has no end of directory");
  const locator = end - 20;
  if (locator < 0 || zip.readUInt32LE(locator) !== ZIP64_END_LOCATOR)
    return { at: zip.readUInt32LE(end + 16), count: zip.readUInt16LE(end + 10) };
  const wideEnd = Number(zip.readBigUInt64LE(locator + 8));
  return {
    at: Number(zip.readBigUInt64LE(wideEnd + 48)),
    count: Number(zip.readBigUInt64LE(wideEnd + 32)),
  };
}

/** The values with those that stand in the 64-bit field put in; it holds only them, in this order. */
function wide(values: number[], extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== ZIP64_EXTRA) continue;
    let field = at + 4;
    return values.map((value) => {
      if (value !== ELSEWHERE) return value;
      field += 8;
      return Number(extra.readBigUInt64LE(field - 8));
    });
  }
  return values;
}
