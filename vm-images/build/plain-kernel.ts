import { zstdDecompressSync } from "node:zlib";

/** Fields of the x86 boot protocol's header, by offset: how many sectors it takes, and where behind it the kernel lies. */
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
/** Behind the compressed kernel: its size. */
const TRAILER_BYTES = 4;
/** Owner and type of the ELF note that names the entry point for starting in protected mode. */
const ENTRY_NOTE = Buffer.concat([Buffer.from([4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0]), Buffer.from("Xen\0")]);

/**
 * The ELF file inside a bzImage. QEMU starts it as it is, where a bzImage would unpack itself first: emulated, that takes
 * seconds.
 * @throws Error when the kernel is packed otherwise, or cannot be started like this
 */
export function plainKernel(bzImage: Buffer): Buffer {
  if (bzImage.toString("latin1", MAGIC, MAGIC + 4) !== "HdrS") throw new Error("the kernel is no bzImage");
  const start = ((bzImage[SETUP_SECTORS] || 4) + 1) * SECTOR_BYTES + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  const end = start + bzImage.readUInt32LE(PAYLOAD_LENGTH) - TRAILER_BYTES;
  const kernel = zstdDecompressSync(bzImage.subarray(start, end), {
    maxOutputLength: bzImage.readUInt32LE(end),
  });
  if (!kernel.subarray(0, 4).equals(Buffer.from("\x7fELF"))) throw new Error("the kernel holds no ELF file");
  if (!kernel.includes(ENTRY_NOTE)) throw new Error("the kernel has no entry point in protected mode");
  return kernel;
}
