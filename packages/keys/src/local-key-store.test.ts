import { randomBytes, randomUUID } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { keyStoreContract } from "./key-store.contract.ts";
import { LocalKeyStore } from "./local-key-store.ts";

async function localStore() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-keys-"));
  const reopen = () => LocalKeyStore.open({ directory: join(directory, "keys") });
  return {
    directory: join(directory, "keys"),
    store: await reopen(),
    reopen,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

describe("local key store", () => keyStoreContract(localStore));

const ids = () => ({ ownerId: randomUUID(), workspaceId: randomUUID() });

test("only the owner of the process may read, and no file holds a key or outlives it", async () => {
  await using opened = await localStore();
  const mine = ids();
  const key = randomBytes(32);
  await opened.store.putWorkspaceKey(mine, key);
  const files = (await readdir(opened.directory, { recursive: true, withFileTypes: true })).map((entry) =>
    join(entry.parentPath, entry.name),
  );
  for (const path of files) {
    const { mode } = await stat(path);
    expect(mode & 0o077, path).toBe(0);
    if ((mode & 0o170000) !== 0o100000) continue;
    const bytes = await readFile(path);
    for (const form of [key, key.toString("hex"), key.toString("base64")])
      expect(bytes.includes(form), path).toBe(false);
  }
  await opened.store.destroyWorkspaceKey(mine);
  expect(await readdir(join(opened.directory, "workspaces"))).toEqual([`${mine.workspaceId}.destroyed.json`]);
});

test("a destruction that was cut off is finished when the store opens", async () => {
  await using opened = await localStore();
  const mine = ids();
  await opened.store.putWorkspaceKey(mine, randomBytes(32));
  const path = join(opened.directory, "workspaces", `${mine.workspaceId}.json`);
  await copyFile(path, `${path}.kept`);
  await opened.store.destroyWorkspaceKey(mine);
  await copyFile(`${path}.kept`, path);
  await rm(`${path}.kept`);
  await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.not_found" });
  await opened.reopen();
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
});

test("what was being written when the process ended is gone when the store opens", async () => {
  await using opened = await localStore();
  const mine = ids();
  await opened.store.putWorkspaceKey(mine, randomBytes(32));
  const record = join(opened.directory, "workspaces", `${mine.workspaceId}.json`);
  await copyFile(record, `${record}.0123456789ab.tmp`);
  const reopened = await opened.reopen();
  expect(await readdir(join(opened.directory, "workspaces"))).toEqual([`${mine.workspaceId}.json`]);
  (await reopened.unwrapWorkspaceKey(mine)).fill(0);
});

test("a damaged record is unavailable, not not-found, and can still be destroyed", async () => {
  await using opened = await localStore();
  const mine = ids();
  await opened.store.putWorkspaceKey(mine, randomBytes(32));
  await writeFile(join(opened.directory, "workspaces", `${mine.workspaceId}.json`), "{");
  await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.unavailable" });
  expect(await opened.store.destroyWorkspaceKey(mine)).toMatchObject({ commitment: null });
  await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.not_found" });
});

test.each(["keys", "destructions"])("a root key that is missing beside %s is not made anew", async (what) => {
  await using opened = await localStore();
  const mine = ids();
  await opened.store.putWorkspaceKey(mine, randomBytes(32));
  if (what === "destructions") {
    await opened.store.destroyWorkspaceKey(mine);
    await opened.store.destroyOwnerKey(mine.ownerId);
  }
  const root = join(opened.directory, "root");
  await rename(root, `${root}.elsewhere`);
  await expect(opened.reopen()).rejects.toMatchObject({ code: "key.unavailable" });
  await expect(stat(root)).rejects.toMatchObject({ code: "ENOENT" });
  await rename(`${root}.elsewhere`, root);
  const again = await opened.reopen();
  if (what === "keys") (await again.unwrapWorkspaceKey(mine)).fill(0);
});

test("an id that could leave the directory is refused", async () => {
  await using opened = await localStore();
  await expect(async () => opened.store.destroyOwnerKey("../../root")).rejects.toThrow();
});
