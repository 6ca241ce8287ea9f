import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type KeyStoreChoice, openKeyStore } from "./open-key-store.ts";
import { TransitServer } from "./testing/transit-server.ts";

test("keys of one store are never looked for in the other", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-keys-"));
  await using server = await TransitServer.start();
  const tokenFile = join(directory, "token");
  await writeFile(tokenFile, server.token, { mode: 0o600 });
  const local: KeyStoreChoice = { kind: "local" };
  const transit: KeyStoreChoice = { kind: "transit", url: server.url, mount: server.mount, tokenFile };
  try {
    for (const [first, second] of [
      [local, transit],
      [transit, local],
    ] as const) {
      const keys = join(directory, first.kind);
      const ids = { ownerId: randomUUID(), workspaceId: randomUUID() };
      const store = await openKeyStore(keys, first);
      await openKeyStore(keys, second);
      await store.putWorkspaceKey(ids, randomBytes(32));
      await expect(openKeyStore(keys, second)).rejects.toThrow("cannot be changed");
      await store.destroyWorkspaceKey(ids);
      await openKeyStore(keys, second);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
