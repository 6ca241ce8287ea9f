import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatDisk } from "./format-disk.ts";

/** Where ext4 keeps its superblock, and fields in it. */
const SUPERBLOCK_AT = 1024;
const BLOCKS_AT = 4;
const RESERVED_AT = 8;

test("one block in a hundred is kept for the system, so that a disk its user filled can still be started", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-format-"));
  try {
    const path = join(directory, "disk.raw");
    await formatDisk(path, 1024);
    await using file = await open(path, "r");
    const superblock = Buffer.alloc(1024);
    await file.read(superblock, 0, superblock.length, SUPERBLOCK_AT);
    const blocks = superblock.readUInt32LE(BLOCKS_AT);
    expect(blocks).toBe((1024 * 1024 * 1024) / 4096);
    expect(superblock.readUInt32LE(RESERVED_AT)).toBe(Math.floor(blocks / 100));
  } finally {
    await rm(directory, { recursive: true });
  }
});
