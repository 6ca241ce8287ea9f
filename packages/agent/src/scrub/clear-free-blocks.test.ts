import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { describe, expect, it, onTestFinished } from "vitest";
import { baseTools } from "../system/base-tool.ts";
import { runTool } from "../system/run-tool.ts";
import { clearFreeBlocks, freeRuns, withoutWholeUnits } from "./clear-free-blocks.ts";

const tool = baseTools("/nowhere");
const options = { clock: systemClock, log: () => {}, tool };
const BLOCK_BYTES = 4096;
const MARKER = "a secret that was deleted";

async function run(...argv: string[]): Promise<string> {
  const { exitCode, tail } = await runTool(argv, { clock: systemClock, timeoutMs: 60_000 });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${exitCode}: ${tail}`);
  return tail;
}

/** An ext4 with a file, and with others that were deleted between the blocks of it and far from anything. */
async function usedDisk(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-ext4-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const disk = join(directory, "disk");
  const [kept, secret] = [join(directory, "kept"), join(directory, "secret")];
  await writeFile(kept, "kept".repeat(BLOCK_BYTES));
  await writeFile(secret, MARKER.repeat(3000));
  await run("/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-b", `${BLOCK_BYTES}`, disk, "16M");
  const write = (file: string, name: string) => `write ${file} ${name}`;
  const requests = [
    ...[write(secret, "one"), write(kept, "kept"), write(secret, "two"), "rm one", "rm two"],
  ].flatMap((request) => ["-R", request]);
  for (let at = 0; at < requests.length; at += 2) {
    await run("/usr/sbin/debugfs", "-w", "-R", requests[at + 1] ?? "", disk);
  }
  return disk;
}

describe("clearing free blocks", () => {
  it("leaves nothing of what was deleted, and everything else as it was", async () => {
    const disk = await usedDisk();
    expect((await readFile(disk)).includes(MARKER)).toBe(true);
    await clearFreeBlocks(disk, 1024 ** 3, options);
    expect((await readFile(disk)).includes(MARKER)).toBe(false);
    await run("/usr/sbin/e2fsck", "-f", "-n", disk);
    const kept = await run("/usr/sbin/debugfs", "-R", "cat kept", disk);
    expect(kept).toContain("kept".repeat(100));
  });

  it("writes only where a unit is shared with something in use", async () => {
    const disk = await usedDisk();
    const before = await readFile(disk);
    const unitBlocks = 4;
    await clearFreeBlocks(disk, unitBlocks * BLOCK_BYTES, options);
    const after = await readFile(disk);
    const list = await runDump(disk);
    const free = new Set(
      freeRuns(list).flatMap(({ first, count }) =>
        Array.from({ length: count }, (_, index) => first + index),
      ),
    );
    for (let unit = 0; unit < after.length / BLOCK_BYTES / unitBlocks; unit++) {
      const blocks = Array.from({ length: unitBlocks }, (_, index) => unit * unitBlocks + index);
      const isShared = blocks.some((block) => !free.has(block));
      for (const block of blocks) {
        const bytes = (file: Buffer) => file.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
        const expected = isShared && free.has(block) ? Buffer.alloc(BLOCK_BYTES) : bytes(before);
        expect(bytes(after).equals(expected)).toBe(true);
      }
    }
  });

  it("refuses what is no ext4", async () => {
    const disk = await usedDisk();
    await writeFile(disk, Buffer.alloc(BLOCK_BYTES));
    await expect(clearFreeBlocks(disk, BLOCK_BYTES, options)).rejects.toMatchObject({ code: "internal" });
  });
});

async function runDump(disk: string): Promise<string> {
  const parts: Buffer[] = [];
  const onOutput = (bytes: Buffer) => parts.push(bytes);
  await runTool(["/usr/sbin/dumpe2fs", disk], { clock: systemClock, timeoutMs: 60_000, onOutput });
  return Buffer.concat(parts).toString();
}

describe("a list of free blocks", () => {
  it("is read group by group", () => {
    const list =
      "Free blocks:              90\nGroup 0: (Blocks 0-31)\n  Free blocks: 9-11, 17\n  Free inodes: 1-9\nGroup 1:\n  Free blocks: \n  Free inodes: 3\n";
    expect(freeRuns(list)).toEqual([
      { first: 9, count: 3 },
      { first: 17, count: 1 },
    ]);
  });

  it.each([
    [{ first: 1, count: 2 }, [{ first: 1, count: 2 }]],
    [{ first: 3, count: 3 }, [{ first: 3, count: 3 }]],
    [{ first: 4, count: 4 }, []],
    [{ first: 4, count: 5 }, [{ first: 8, count: 1 }]],
    [
      { first: 2, count: 12 },
      [
        { first: 2, count: 2 },
        { first: 12, count: 2 },
      ],
    ],
  ])("%j without whole units", (free, expected) => {
    expect(withoutWholeUnits(free, 4)).toEqual(expected);
  });
});
