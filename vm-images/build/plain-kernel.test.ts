import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { plainKernel } from "./plain-kernel.ts";

const ENTRY = Buffer.from([4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0]);
const elf = (...rest: Buffer[]) => Buffer.concat([Buffer.from("\x7fELF"), Buffer.alloc(9000, 7), ...rest]);

function bzImage(kernel: Buffer, setupSectors = 3): Buffer {
  const packed = zstdCompressSync(kernel);
  const offset = 100;
  const image = Buffer.alloc((setupSectors + 1) * 512 + offset + packed.length + 4 + 50);
  image[0x1f1] = setupSectors;
  image.write("HdrS", 0x202);
  image.writeUInt32LE(offset, 0x248);
  image.writeUInt32LE(packed.length + 4, 0x24c);
  packed.copy(image, (setupSectors + 1) * 512 + offset);
  image.writeUInt32LE(kernel.length, (setupSectors + 1) * 512 + offset + packed.length);
  return image;
}

describe("the kernel in a bzImage", () => {
  test("is taken out as it was packed", () => {
    const kernel = elf(ENTRY, Buffer.alloc(100));
    expect(plainKernel(bzImage(kernel)).equals(kernel)).toBe(true);
  });

  test.each([
    ["no bzImage", Buffer.alloc(4096), "the kernel is no bzImage"],
    ["no ELF file", bzImage(Buffer.concat([Buffer.alloc(4), ENTRY])), "the kernel holds no ELF file"],
    ["no entry point", bzImage(elf()), "the kernel has no entry point in protected mode"],
  ])("is refused when it is %s", (_, image, message) => {
    expect(() => plainKernel(image)).toThrow(message);
  });
});
