import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation } from "@atoll/durable/testing/recording-file-ops";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import type { WorkspaceKeyIds } from "./key-store.ts";
import { LocalKeyStore } from "./local-key-store.ts";

async function place() {
  const path = await mkdtemp(join(tmpdir(), "atoll-keys-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const open = (directory: string) =>
  LocalKeyStore.open({ directory: join(directory, "keys"), clock: new ManualClock() });
const ids = () => ({ ownerId: randomUUID(), workspaceId: randomUUID() });

/** Hex of the key, or undefined when the store says that there is none. Anything else is a failure. */
async function keyOf(store: LocalKeyStore, of: WorkspaceKeyIds): Promise<string | undefined> {
  try {
    return Buffer.from(await store.unwrapWorkspaceKey(of)).toString("hex");
  } catch (error) {
    if (error instanceof AtollError && error.code === "key.not_found") return undefined;
    throw error;
  }
}

const hex = (key: Uint8Array) => Buffer.from(key).toString("hex");

test("the first key of a new store is there or not, and there once that was promised", async () => {
  await using directory = await place();
  const mine = ids();
  const key = randomBytes(32);
  const { stateCount } = await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      const store = await open(directory.path);
      await store.putWorkspaceKey(mine, key);
      recorder.acknowledge("put");
    },
    check: async (crashed, { acknowledged }) => {
      const found = await keyOf(await open(crashed), mine);
      expect(acknowledged.length > 0 ? [hex(key)] : [undefined, hex(key)]).toContain(found);
    },
  });
  expect(stateCount).toBeGreaterThan(10);
});

async function replaceKey(directory: string, omit?: (operation: Operation) => boolean) {
  const [mine, other] = [ids(), ids()];
  const [first, second, untouched] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const before = await open(directory);
  await before.putWorkspaceKey(mine, first);
  await before.putWorkspaceKey(other, untouched);
  await everyCrash({
    directory,
    ...(omit ? { omit } : {}),
    run: async (recorder) => {
      const store = await open(directory);
      await store.putWorkspaceKey(mine, second, { mayReplace: true });
      recorder.acknowledge("replaced");
    },
    check: async (crashed, { acknowledged }) => {
      const store = await open(crashed);
      const found = await keyOf(store, mine);
      expect(acknowledged.length > 0 ? [hex(second)] : [hex(first), hex(second)]).toContain(found);
      expect(await keyOf(store, other)).toBe(hex(untouched));
    },
  });
}

test("a replaced key is the old or the new one, and its neighbour is untouched", async () => {
  await using directory = await place();
  await replaceKey(directory.path);
});

test("a store that does not sync what it writes is noticed", async () => {
  for (const kind of ["syncFile", "syncDirectory"]) {
    await using directory = await place();
    await expect(replaceKey(directory.path, (operation) => operation.kind === kind)).rejects.toThrow("crash");
  }
});

test("a destruction that was promised stands, with its time; one that was not leaves the key or none", async () => {
  await using directory = await place();
  const [mine, other] = [ids(), ids()];
  const [key, untouched] = [randomBytes(32), randomBytes(32)];
  const before = await open(directory.path);
  await before.putWorkspaceKey(mine, key);
  await before.putWorkspaceKey(other, untouched);
  const clock = new ManualClock();
  let promised: unknown;
  let ownerPromised: unknown;
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      const store = await LocalKeyStore.open({ directory: join(directory.path, "keys"), clock });
      promised = await store.destroyWorkspaceKey(mine);
      recorder.acknowledge("workspace");
      ownerPromised = await store.destroyOwnerKey(mine.ownerId);
      recorder.acknowledge("owner");
    },
    check: async (crashed, { acknowledged }) => {
      const store = await open(crashed);
      expect(await keyOf(store, other)).toBe(hex(untouched));
      const found = await keyOf(store, mine);
      expect([hex(key), undefined]).toContain(found);
      // Opening finished what was begun: no note stands beside a key it says is gone.
      for (const kind of ["owners", "workspaces"]) {
        const names = await readdir(join(crashed, "keys", kind));
        for (const name of names.filter((each) => each.endsWith(".destroyed.json"))) {
          expect(names).not.toContain(name.replace(".destroyed.json", ".json"));
        }
      }
      if (acknowledged.includes("workspace")) {
        expect(found).toBeUndefined();
        expect(await store.destroyWorkspaceKey(mine)).toEqual(promised);
      }
      if (acknowledged.includes("owner")) {
        expect(await store.destroyOwnerKey(mine.ownerId)).toEqual(ownerPromised);
        const next = { ...mine, workspaceId: randomUUID() };
        await expect(store.putWorkspaceKey(next, key)).rejects.toMatchObject({ code: "key.not_found" });
      }
    },
  });
});
