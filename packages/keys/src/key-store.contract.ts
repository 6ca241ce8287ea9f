import { randomBytes, randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { keyCommitment } from "./key-commitment.ts";
import type { KeyStore } from "./key-store.ts";

/** Every key store passes this. `reopen` gives a new instance over the same storage. */
export function keyStoreContract(
  open: () => Promise<{ store: KeyStore; reopen: () => Promise<KeyStore> } & AsyncDisposable>,
): void {
  const ids = () => ({ ownerId: randomUUID(), workspaceId: randomUUID() });

  test("a key comes back to its owner and workspace, also after a restart", async () => {
    await using opened = await open();
    const mine = ids();
    const key = randomBytes(32);
    const { commitment } = await opened.store.putWorkspaceKey(mine, key);
    expect(commitment).toBe(keyCommitment(key));
    expect(Buffer.from(await opened.store.unwrapWorkspaceKey(mine)).equals(key)).toBe(true);
    const again = await opened.reopen();
    expect(Buffer.from(await again.unwrapWorkspaceKey(mine)).equals(key)).toBe(true);
  });

  test("a key that is there is not replaced, except by whoever knows that nothing is under it", async () => {
    await using opened = await open();
    const mine = ids();
    expect(await opened.store.hasWorkspaceKey(mine.workspaceId)).toBe(false);
    const first = randomBytes(32);
    await opened.store.putWorkspaceKey(mine, first);
    const key = randomBytes(32);
    for (const store of [opened.store, await opened.reopen()]) {
      expect(await store.hasWorkspaceKey(mine.workspaceId)).toBe(true);
      await expect(store.putWorkspaceKey(mine, key)).rejects.toMatchObject({ code: "key.exists" });
      expect(Buffer.from(await store.unwrapWorkspaceKey(mine)).equals(first)).toBe(true);
    }
    const replaced = await opened.store.putWorkspaceKey(mine, key, { mayReplace: true });
    expect(replaced).toEqual({ commitment: keyCommitment(key) });
    expect(Buffer.from(await opened.store.unwrapWorkspaceKey(mine)).equals(key)).toBe(true);
    await opened.store.destroyWorkspaceKey(mine);
    expect(await opened.store.hasWorkspaceKey(mine.workspaceId)).toBe(false);
  });

  test("another owner and another workspace get nothing", async () => {
    await using opened = await open();
    const mine = ids();
    const theirs = ids();
    await opened.store.putWorkspaceKey(mine, randomBytes(32));
    await opened.store.putWorkspaceKey(theirs, randomBytes(32));
    for (const wrong of [
      { ...mine, ownerId: theirs.ownerId },
      { ...mine, workspaceId: randomUUID() },
    ]) {
      await expect(opened.store.unwrapWorkspaceKey(wrong)).rejects.toMatchObject({ code: "key.not_found" });
    }
  });

  test("a destroyed workspace key stays destroyed, and its neighbour is untouched", async () => {
    await using opened = await open();
    const mine = ids();
    const sibling = { ...mine, workspaceId: randomUUID() };
    const key = randomBytes(32);
    await opened.store.putWorkspaceKey(mine, key);
    await opened.store.putWorkspaceKey(sibling, key);
    const destroyed = await opened.store.destroyWorkspaceKey(mine);
    expect(destroyed.commitment).toBe(keyCommitment(key));
    expect(await opened.store.destroyWorkspaceKey(mine)).toEqual(destroyed);
    for (const store of [opened.store, await opened.reopen()]) {
      await expect(store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.not_found" });
      await expect(store.putWorkspaceKey(mine, key)).rejects.toMatchObject({ code: "key.not_found" });
      expect(Buffer.from(await store.unwrapWorkspaceKey(sibling)).equals(key)).toBe(true);
    }
  });

  test("destroying an owner's key ends all it wraps and leaves other owners alone", async () => {
    await using opened = await open();
    const mine = ids();
    const other = ids();
    const key = randomBytes(32);
    await opened.store.putWorkspaceKey(mine, key);
    await opened.store.putWorkspaceKey(other, key);
    const destroyed = await opened.store.destroyOwnerKey(mine.ownerId);
    expect(destroyed.commitment).toMatch(/^[0-9a-f]{64}$/);
    expect(await opened.store.destroyOwnerKey(mine.ownerId)).toEqual(destroyed);
    await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.not_found" });
    const next = { ...mine, workspaceId: randomUUID() };
    await expect(opened.store.putWorkspaceKey(next, key)).rejects.toMatchObject({ code: "key.not_found" });
    expect(Buffer.from(await opened.store.unwrapWorkspaceKey(other)).equals(key)).toBe(true);
  });

  test("what never had a key can be destroyed, and never gets one", async () => {
    await using opened = await open();
    const mine = ids();
    expect(await opened.store.destroyWorkspaceKey(mine)).toMatchObject({ commitment: null });
    await expect(opened.store.putWorkspaceKey(mine, randomBytes(32))).rejects.toMatchObject({
      code: "key.not_found",
    });
  });

  test("puts at the same time give an owner one key", async () => {
    await using opened = await open();
    const ownerId = randomUUID();
    const all = Array.from({ length: 8 }, () => ({
      ids: { ownerId, workspaceId: randomUUID() },
      key: randomBytes(32),
    }));
    await Promise.all(all.map((entry) => opened.store.putWorkspaceKey(entry.ids, entry.key)));
    for (const entry of all) {
      expect(Buffer.from(await opened.store.unwrapWorkspaceKey(entry.ids)).equals(entry.key)).toBe(true);
    }
  });
}
