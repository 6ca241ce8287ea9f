import { randomBytes, randomUUID } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { describe, expect, test } from "vitest";
import { keyStoreContract } from "./key-store.contract.ts";
import { TransitServer } from "./testing/transit-server.ts";
import { TransitClient } from "./transit-client.ts";
import { TransitKeyStore } from "./transit-key-store.ts";

async function transitStore(options: { mayCreateByEncrypting?: boolean } = {}) {
  const directory = await mkdtemp(join(tmpdir(), "atoll-transit-"));
  const server = await TransitServer.start();
  server.mayCreateByEncrypting = options.mayCreateByEncrypting ?? false;
  const tokenFile = join(directory, "token");
  await writeFile(tokenFile, `${server.token}\n`, { mode: 0o600 });
  const clock = new ManualClock();
  const access = { url: server.url, mount: server.mount, tokenFile, timeoutMs: 1_000 };
  const stores: TransitKeyStore[] = [];
  const reopen = async () => {
    const store = await TransitKeyStore.open({ ...access, directory: join(directory, "keys"), clock });
    stores.push(store);
    return store;
  };
  return {
    server,
    access,
    clock,
    directory: join(directory, "keys"),
    store: await reopen(),
    reopen,
    [Symbol.asyncDispose]: async () => {
      for (const store of stores) store[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

const ids = () => ({ ownerId: randomUUID(), workspaceId: randomUUID() });
const fileOf = (directory: string, workspaceId: string) =>
  join(directory, "workspaces", `${workspaceId}.json`);

describe("transit key store", () => keyStoreContract(() => transitStore()));
describe("transit key store, by a token that may make keys by encrypting", () =>
  keyStoreContract(() => transitStore({ mayCreateByEncrypting: true })));

test("keys on the server cannot be read out, and cannot be deleted before their destruction", async () => {
  await using opened = await transitStore();
  await opened.store.putWorkspaceKey(ids(), randomBytes(32));
  expect(opened.server.keys.size).toBe(2);
  for (const key of opened.server.keys.values()) {
    expect(key).toMatchObject({ exportable: false, allowPlaintextBackup: false, deletionAllowed: false });
  }
});

test("a key that could leave its server is not used", async () => {
  await using opened = await transitStore();
  const mine = ids();
  using client = new TransitClient(opened.access);
  await client.createKey(`atoll-owner-${mine.ownerId}`);
  const key = opened.server.keys.get(`atoll-owner-${mine.ownerId}`);
  if (key === undefined) throw new Error("not made");
  key.exportable = true;
  await expect(opened.store.putWorkspaceKey(mine, randomBytes(32))).rejects.toMatchObject({
    code: "key.unavailable",
  });
});

test("no file and no request's address holds the key; both wrapping keys are needed", async () => {
  await using opened = await transitStore();
  const mine = ids();
  const key = randomBytes(32);
  await opened.store.putWorkspaceKey(mine, key);
  await opened.store.unwrapWorkspaceKey(mine);
  const files = (await readdir(opened.directory, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  for (const entry of files) {
    const bytes = await readFile(join(entry.parentPath, entry.name));
    for (const form of [key, key.toString("hex"), key.toString("base64")])
      expect(bytes.includes(form)).toBe(false);
    expect(bytes.includes(opened.server.token)).toBe(false);
  }
  expect(opened.server.calls.join("\n")).not.toContain(opened.server.token);
  const names = [`atoll-owner-${mine.ownerId}`, `atoll-workspace-${mine.workspaceId}`];
  for (const name of names) {
    const held = opened.server.keys.get(name);
    if (held === undefined) throw new Error(`no ${name}`);
    opened.server.keys.delete(name);
    await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.not_found" });
    opened.server.keys.set(name, held);
  }
  expect(Buffer.from(await opened.store.unwrapWorkspaceKey(mine)).equals(key)).toBe(true);
});

test("a sealed key of another workspace does not open, also when its file was moved", async () => {
  await using opened = await transitStore();
  const mine = ids();
  const other = { ...mine, workspaceId: randomUUID() };
  await opened.store.putWorkspaceKey(mine, randomBytes(32));
  await opened.store.putWorkspaceKey(other, randomBytes(32));
  await writeFile(
    fileOf(opened.directory, mine.workspaceId),
    await readFile(fileOf(opened.directory, other.workspaceId)),
  );
  await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.unavailable" });
});

test("a rotated wrapping key still opens what was sealed before", async () => {
  await using opened = await transitStore();
  const mine = ids();
  const key = randomBytes(32);
  await opened.store.putWorkspaceKey(mine, key);
  for (const name of opened.server.keys.keys()) {
    const answer = await fetch(`${opened.server.url}/v1/transit/keys/${name}/rotate`, {
      method: "POST",
      headers: { "x-vault-token": opened.server.token },
    });
    expect(answer.status).toBe(200);
  }
  expect(Buffer.from(await opened.store.unwrapWorkspaceKey(mine)).equals(key)).toBe(true);
});

describe("when the server does not do what it should", () => {
  const answers = (fault: TransitServer["fault"]) => (server: TransitServer) => {
    server.fault = fault;
  };
  const seal = (server: TransitServer) => {
    server.isSealed = true;
  };
  const faults: [string, (server: TransitServer) => void][] = [
    ["is sealed", seal],
    ["has an internal fault", answers({ status: 500, body: { errors: ["internal error"] } })],
    ["asks for patience", answers({ status: 429, body: { errors: ["quota"] } })],
    ["points elsewhere", answers({ status: 307 })],
    ["answers nonsense", answers({ status: 200, body: { data: { plaintext: "?" } } })],
    ["has no such mount", answers({ status: 404, body: { errors: ["no handler for route"] } })],
    ["never answers", answers("hang")],
  ];
  test.each(faults)(
    "it is unavailable and nothing is unlocked or called destroyed: it %s",
    async (_, breakIt) => {
      await using opened = await transitStore();
      const mine = ids();
      const key = randomBytes(32);
      await opened.store.putWorkspaceKey(mine, key);
      breakIt(opened.server);
      const isUnavailable = { code: "key.unavailable" };
      await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject(isUnavailable);
      await expect(opened.store.putWorkspaceKey(ids(), key)).rejects.toMatchObject(isUnavailable);
      await expect(opened.store.destroyWorkspaceKey(mine)).rejects.toMatchObject(isUnavailable);
      opened.server.isSealed = false;
      opened.server.fault = undefined;
      // A destruction that began is one: the key is refused from then on, and repeating finishes it.
      await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.not_found" });
      opened.clock.advance(60_000);
      const again = await opened.reopen();
      expect((await again.destroyWorkspaceKey(mine)).destroyedAtMs).toBe(opened.clock.now());
      expect([...opened.server.keys.keys()]).toEqual([`atoll-owner-${mine.ownerId}`]);
      expect(await readdir(join(opened.directory, "workspaces"))).toEqual([
        `${mine.workspaceId}.destroyed.json`,
      ]);
    },
  );

  test("a server that has gone is unavailable", async () => {
    await using opened = await transitStore();
    const mine = ids();
    await opened.store.putWorkspaceKey(mine, randomBytes(32));
    await opened.server[Symbol.asyncDispose]();
    await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.unavailable" });
  });

  test("a token that others may read, or that is not accepted, opens nothing", async () => {
    await using opened = await transitStore();
    const mine = ids();
    await opened.store.putWorkspaceKey(mine, randomBytes(32));
    await chmod(opened.access.tokenFile, 0o640);
    await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.unavailable" });
    await chmod(opened.access.tokenFile, 0o600);
    await writeFile(opened.access.tokenFile, "hvs.wrong");
    await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.unavailable" });
  });

  test("a version of the key that is locked out is unavailable, not gone", async () => {
    await using opened = await transitStore();
    const mine = ids();
    await opened.store.putWorkspaceKey(mine, randomBytes(32));
    const key = opened.server.keys.get(`atoll-owner-${mine.ownerId}`);
    if (key === undefined) throw new Error("not made");
    key.minDecryptionVersion = 2;
    await expect(opened.store.unwrapWorkspaceKey(mine)).rejects.toMatchObject({ code: "key.unavailable" });
  });
});

test("keys do not travel over a network in the clear", () => {
  const access = { mount: "transit", tokenFile: "/nowhere" };
  for (const url of ["http://vault.example", "http://10.0.0.1:8200", "ftp://127.0.0.1"]) {
    expect(() => new TransitClient({ ...access, url })).toThrow("https");
  }
  for (const url of ["https://vault.example", "http://127.0.0.1:8200", "http://localhost:8200/"]) {
    new TransitClient({ ...access, url })[Symbol.dispose]();
  }
});
