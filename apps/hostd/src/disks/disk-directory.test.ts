import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DiskDirectory } from "./disk-directory.ts";
import { formatDisk } from "./format-disk.ts";

async function parent() {
  const path = await mkdtemp(join(tmpdir(), "atoll-disks-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test("the epoch rises above both what is stored and what the caller knows", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  await disk.write({ epoch: 1, imageKey: "image", templateId: "template" });
  expect(await disk.raiseEpoch(1)).toBe(2);
  expect(await disk.raiseEpoch(1)).toBe(3);
  expect(await disk.raiseEpoch(7)).toBe(8);
  expect(await disk.read()).toEqual({ format: 1, epoch: 8, imageKey: "image", templateId: "template" });
  expect((await stat(disk.path)).mode & 0o777).toBe(0o700);
});

test("a record that cannot be read raises nothing", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  await expect(disk.raiseEpoch(1)).rejects.toMatchObject({ code: "vm.start_failed" });
  await writeFile(join(disk.path, "disk.json"), '{"format":1,"epoch":"1"}');
  await expect(disk.raiseEpoch(1)).rejects.toMatchObject({ code: "vm.start_failed" });
});

test("removing takes snapshots along and can be repeated; no id leads elsewhere", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  await mkdir(disk.snapshotsPath);
  await writeFile(join(disk.snapshotsPath, "one"), "");
  await disk.remove();
  await disk.remove();
  expect(await readdir(at.path)).toEqual([]);
  for (const id of ["..", "../x", "", "a/b"]) expect(() => new DiskDirectory(at.path, id)).toThrow();
});

test("a formatted disk is ext4, sparse and as large as asked", async () => {
  await using at = await parent();
  const path = join(at.path, "disk.raw");
  await formatDisk(path, 2048);
  const { size, blocks, mode } = await stat(path);
  expect([size, mode & 0o777]).toEqual([2048 * 1024 * 1024, 0o600]);
  expect(blocks * 512).toBeLessThan(8 * 1024 * 1024);
  await expect(formatDisk(path, 2048)).rejects.toMatchObject({ code: "EEXIST" });
  expect((await stat(path)).size).toBe(size);
});
