import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import type { DestroyedKey, WorkspaceKeyIds } from "./key-store.ts";
import { TransitServer } from "./testing/transit-server.ts";
import { TransitKeyStore } from "./transit-key-store.ts";

async function place() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-transit-"));
  const server = await TransitServer.start();
  const tokenFile = join(directory, "token");
  await writeFile(tokenFile, server.token, { mode: 0o600 });
  const access = { url: server.url, mount: server.mount, tokenFile };
  return {
    /** The store over the files in `path`; the server is the same before and after a crash. */
    open: (path: string, clock = new ManualClock()) =>
      TransitKeyStore.open({ ...access, directory: join(path, "keys"), clock }),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

async function keyOf(store: TransitKeyStore, ids: WorkspaceKeyIds): Promise<string | undefined> {
  try {
    return Buffer.from(await store.unwrapWorkspaceKey(ids)).toString("hex");
  } catch (error) {
    if (error instanceof AtollError && error.code === "key.not_found") return undefined;
    throw error;
  }
}

const ids = () => ({ ownerId: randomUUID(), workspaceId: randomUUID() });

test("a key that was promised is there after every crash, and a cut-off put can be repeated", async () => {
  await using at = await place();
  const [mine, key] = [ids(), randomBytes(32)];
  const directory = await mkdtemp(join(tmpdir(), "atoll-transit-files-"));
  try {
    await everyCrash({
      directory,
      run: async (recorder) => {
        using store = await at.open(directory);
        await store.putWorkspaceKey(mine, key);
        recorder.acknowledge("put");
      },
      check: async (crashed, { acknowledged }) => {
        using store = await at.open(crashed);
        const found = await keyOf(store, mine);
        expect(acknowledged.length > 0 ? [key.toString("hex")] : [undefined, key.toString("hex")]).toContain(
          found,
        );
        const again = randomBytes(32);
        await store.putWorkspaceKey(mine, again, { mayReplace: true });
        expect(await keyOf(store, mine)).toBe(again.toString("hex"));
      },
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a destruction that began never opens again, and its promised time stays", async () => {
  await using at = await place();
  const [mine, other, key] = [ids(), ids(), randomBytes(32)];
  const directory = await mkdtemp(join(tmpdir(), "atoll-transit-files-"));
  try {
    {
      using before = await at.open(directory);
      await before.putWorkspaceKey(mine, key);
      await before.putWorkspaceKey(other, key);
    }
    let promised: DestroyedKey | undefined;
    await everyCrash({
      directory,
      run: async (recorder) => {
        using store = await at.open(directory);
        promised = await store.destroyWorkspaceKey(mine);
        recorder.acknowledge("destroyed");
      },
      check: async (crashed, { acknowledged }) => {
        const clock = new ManualClock();
        clock.advance(60_000);
        using store = await at.open(crashed, clock);
        // The server's key is gone in every one of these states; with the files of before it still must not open.
        expect(await keyOf(store, mine)).toBeUndefined();
        expect(await keyOf(store, other)).toBe(key.toString("hex"));
        const again = await store.destroyWorkspaceKey(mine);
        expect(again.commitment).toBe(promised?.commitment);
        if (acknowledged.length > 0) expect(again).toEqual(promised);
      },
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
