import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { lockDataDirectory } from "./data-directory-lock.ts";

async function directory() {
  const path = await mkdtemp(join(tmpdir(), "atoll-lock-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

it("lets one in at a time and leaves nothing behind", async () => {
  await using data = await directory();
  const first = await lockDataDirectory(data.path);
  await expect(lockDataDirectory(data.path)).rejects.toThrow(/already runs/);
  await first[Symbol.asyncDispose]();
  const second = await lockDataDirectory(data.path);
  await second[Symbol.asyncDispose]();
  expect(await readdir(data.path)).toEqual([]);
});

it.each([
  ["a dead process", { pid: 4_194_303, startTicks: "1", hostBootId: "x" }],
  ["a pid that was given to another", { pid: process.pid, startTicks: "1", hostBootId: "x" }],
  ["an earlier boot", { pid: 1, startTicks: "1", hostBootId: "x" }],
])("takes over the lock of %s", async (_name, holder) => {
  await using data = await directory();
  await writeFile(join(data.path, "hostd.lock"), JSON.stringify(holder));
  await using _lock = await lockDataDirectory(data.path);
  await expect(lockDataDirectory(data.path)).rejects.toThrow(/already runs/);
});

it("takes over a lock that is torn", async () => {
  await using data = await directory();
  await writeFile(join(data.path, "hostd.lock"), '{"pid":');
  await using _lock = await lockDataDirectory(data.path);
});
