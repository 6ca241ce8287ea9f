import { mkdtemp, readdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cookieKey } from "./cookie-key.ts";

test("the key is made once, whole, for its owner only, also when two processes start together", async () => {
  const directory = join(await mkdtemp(join(tmpdir(), "atoll-key-")), "secrets");
  const path = join(directory, "preview-cookie.key");
  const keys = await Promise.all(Array.from({ length: 8 }, () => cookieKey(path)));
  expect(new Set(keys.map((key) => key.toString("hex"))).size).toBe(1);
  expect(await cookieKey(path)).toEqual(keys[0]);
  expect([(await stat(path)).mode & 0o777, (await stat(directory)).mode & 0o777]).toEqual([0o600, 0o700]);
  expect(await readdir(directory)).toEqual(["preview-cookie.key"]);
});

test("a damaged key is reported, not replaced", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "atoll-key-")), "preview-cookie.key");
  await writeFile(path, "short");
  await expect(cookieKey(path)).rejects.toThrow("5 bytes");
});
