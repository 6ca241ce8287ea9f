/**
 * I7 to I10 on real machines. One mark for each entry of the data map; before the erasure every mark is found with the
 * owner's keys, so that the search is known to find; after it nothing that is left opens anything.
 */
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { KEY_BYTES } from "@atoll/keys/key-store";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { call, openChannel } from "@atoll/protocol/call";
import { deleteAnswer, templateInfo } from "@atoll/protocol/hostd-api";
import { terminalAttach, terminalOpen } from "@atoll/protocol/messages/terminal";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { afterAll, beforeAll, expect, test } from "vitest";
import { diskRecord } from "../disks/disk-record.ts";
import { unwrapLayers } from "../disks/layer-keys.ts";
import { readBuiltVmm } from "../images/built-images.ts";
import { openArtefacts, search, searchQcow2 } from "./open-artefacts.ts";
import { HostdProcess } from "./testing/hostd-process.ts";

const EVE = "33333333-3333-4333-8333-333333333333";
const BOB = "44444444-4444-4444-8444-444444444444";
const POLL_MS = 250;
const WAIT_MS = 120_000;

/** Where a user's content can come to lie on a host, and what plants it there. */
const DATA_MAP = [
  "disk",
  "memory",
  "scrollback",
  "older disk",
  "older memory",
  "before a restore",
  "fork",
  "template",
  "archive",
] as const;
type Entry = (typeof DATA_MAP)[number];

let hostd: HostdProcess;
const halves = new Map<Entry, [string, string]>(
  DATA_MAP.map((entry) => [entry, [randomBytes(10).toString("hex"), randomBytes(10).toString("hex")]]),
);
const mark = (entry: Entry) => (halves.get(entry) ?? []).join("-");
const marks = DATA_MAP.map(mark);
/** Put together in the guest, so that no message or log of ours holds it. */
const planted = (entry: Entry) => {
  const [left, right] = halves.get(entry) ?? [];
  return `m=${left}; m=$m-${right}`;
};

beforeAll(async () => {
  hostd = await HostdProcess.start({
    ATOLL_POOL_SIZE: "0",
    ATOLL_PAUSE_GRACE_SECONDS: "0",
    ATOLL_LOG_LEVEL: "debug",
  });
});
afterAll(() => hostd?.[Symbol.asyncDispose]());

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await delay(POLL_MS);
  }
}

async function typeIntoTerminal(workspace: WorkspaceStatus, text: string, shown: string): Promise<void> {
  await using client = await hostd.session(workspace);
  const { terminalId } = await call(client.mux, terminalOpen, { cols: 80, rows: 24 });
  const screen = await openChannel(client.mux, terminalAttach, { terminalId });
  await screen.stream.write(Buffer.from(text));
  let output = "";
  for await (const item of screen.items()) {
    if (item.kind === "data") output += Buffer.from(item.bytes).toString();
    if (output.includes(shown)) return;
  }
  throw new Error(`the terminal ended at ${output}`);
}

async function plantAll(): Promise<void> {
  const main = await hostd.create({ ownerId: EVE, slug: "eves-reef" });
  const at = `/v1/workspaces/${main.workspaceId}`;
  const older = randomUUID();
  const save = (entry: Entry, path: string) => `${planted(entry)}; echo $m > ${path}; sync`;
  await hostd.shell(main, save("older disk", "~/older"));
  await hostd.shell(main, save("older memory", "/dev/shm/older"));
  await hostd.shell(main, save("template", "~/taught"));
  await hostd.ask("PUT", `${at}/checkpoints/${older}`, { name: "older", withMemory: true });
  await hostd.shell(main, save("before a restore", "~/undone"));
  await hostd.ask("POST", `${at}/restore`, { checkpointId: older, safetyCheckpointId: randomUUID() });
  expect(await hostd.shell(main, "cat ~/undone 2>/dev/null || echo gone")).toBe("gone");
  await hostd.shell(main, "rm -f ~/older /dev/shm/older; sync");
  await hostd.shell(main, save("disk", "~/kept"));
  await hostd.shell(main, save("memory", "/dev/shm/kept"));
  await typeIntoTerminal(main, `${planted("scrollback")}; echo $m\n`, mark("scrollback"));

  const origin = { kind: "workspace" as const, workspaceId: main.workspaceId };
  const fork = await hostd.create({ ownerId: EVE, slug: "eves-fork", origin });
  await hostd.shell(fork, save("fork", "~/forked"));
  await hostd.ask("POST", `/v1/workspaces/${fork.workspaceId}/stop`, {});

  const templateId = randomUUID();
  const wish = { ownerId: EVE, workspaceId: main.workspaceId, checkpointId: older };
  await hostd.ask("PUT", `/v1/templates/${templateId}`, wish);
  await until("template", async () => {
    const info = templateInfo.parse(await hostd.ask("GET", `/v1/templates/${templateId}`));
    if (info.state === "failed") throw new Error(`the template failed: ${info.errorCode}`);
    return info.state === "making" ? undefined : info;
  });

  const retention = { stopAfterPausedSeconds: 1, archiveAfterStoppedSeconds: 1 };
  const old = await hostd.create({ ownerId: EVE, slug: "eves-old", retention });
  await hostd.shell(old, save("archive", "~/filed"));
  await hostd.ask("POST", `/v1/workspaces/${old.workspaceId}/pause`, {});
  await until("archive", async () => {
    const { state } = await hostd.status(old.workspaceId);
    return state === "archived" ? true : undefined;
  });
  await hostd.ask("POST", `${at}/pause`, {});
  expect(await hostd.status(main.workspaceId)).toMatchObject({ state: "paused", pausedIn: "disk" });
}

/** Keys of workspaces and templates that the key store still gives. */
async function storedKeys(): Promise<Map<string, Uint8Array>> {
  const keys = await LocalKeyStore.open({ directory: hostd.at("data/keys") });
  const found = new Map<string, Uint8Array>();
  for (const name of await readdir(hostd.at("data/keys/workspaces"))) {
    const workspaceId = name.replace(/\..*$/, "");
    for (const ownerId of [EVE, BOB]) {
      const key = await keys.unwrapWorkspaceKey({ workspaceId, ownerId }).catch(() => undefined);
      if (key !== undefined) found.set(`${ownerId} ${workspaceId}`, key);
    }
  }
  return found;
}

/** Every file of hostd's that could be a key or hold one, as it is. */
async function keyMaterial(): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const folder of ["keys", "journal"]) {
    const entries = await readdir(hostd.at(`data/${folder}`), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      if (bytes.length >= KEY_BYTES) found.push(bytes.subarray(0, KEY_BYTES));
    }
  }
  return found;
}

async function plainHits(): Promise<string[]> {
  const hits: string[] = [];
  for (const entry of await readdir(hostd.directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const found = await search(createReadStream(path, { highWaterMark: 4 * 1024 * 1024 }), marks).catch(
      () => [],
    );
    if (found.length > 0) hits.push(path);
  }
  return hits;
}

/** Names of the needles that lie in the process's own memory. */
async function inMemoryOf(pid: number, needles: ReadonlyMap<string, Uint8Array>): Promise<string[]> {
  const maps = await readFile(`/proc/${pid}/maps`, "utf8");
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const found = new Set<string>();
  try {
    for (const line of maps.split("\n")) {
      const [range, rights] = line.split(" ");
      if (range === undefined || !rights?.startsWith("rw")) continue;
      const [from = 0, to = 0] = range.split("-").map((end) => Number.parseInt(end, 16));
      if (to - from > 512 * 1024 * 1024) continue;
      const bytes = Buffer.alloc(to - from);
      try {
        readSync(memory, bytes, 0, bytes.length, from);
      } catch {
        continue;
      }
      for (const [name, needle] of needles) if (bytes.includes(Buffer.from(needle))) found.add(name);
    }
  } finally {
    closeSync(memory);
  }
  return [...found];
}

test("after an owner's erasure no file, no key and no byte of hostd's memory gives anything of theirs back", {
  timeout: 600_000,
}, async () => {
  await plantAll();
  const bobs = await hostd.create({ ownerId: BOB, slug: "bobs-reef" });
  await hostd.shell(bobs, "echo of-bob > ~/mine; sync");
  const vmm = await readBuiltVmm(
    process.env.ATOLL_CACHE ?? join(import.meta.dirname, "../../../../.data/cache"),
  );
  const { qemuImgCommand } = vmm;

  // Nothing lies readable while everything exists.
  expect(await plainHits()).toEqual([]);
  const stolen = tmpdir();
  const loot = join(stolen, `atoll-loot-${randomBytes(6).toString("hex")}`);
  await promisify(execFile)("cp", ["-a", hostd.at("data/workspaces"), loot]);
  try {
    const before = await storedKeys();
    const eves = [...before].filter(([name]) => name.startsWith(EVE)).map(([, key]) => key);
    const thief = { workspaces: loot, qemuImgCommand };
    const { findings } = await openArtefacts(thief, eves, marks);
    for (const entry of DATA_MAP) {
      const where = findings.filter((finding) => finding.marks.includes(mark(entry)));
      expect(where.length, `${entry} was planted and is found`).toBeGreaterThan(0);
    }
    const layerKeys: Uint8Array[] = [];
    for (const diskId of await readdir(loot)) {
      const record = diskRecord.safeParse(
        JSON.parse(await readFile(join(loot, diskId, "disk.json"), "utf8")),
      );
      if (!record.success) continue;
      for (const key of eves) {
        try {
          layerKeys.push(...unwrapLayers(key, diskId, record.data.layers).map((layer) => layer.key));
        } catch {
          // Another workspace's.
        }
      }
    }
    expect(layerKeys.length).toBeGreaterThan(0);

    const answer = deleteAnswer.parse(await hostd.ask("DELETE", `/v1/owners/${EVE}`));
    expect(answer.erasures.length).toBeGreaterThanOrEqual(4);
    expect(answer.ownerKeyDestroyedAtMs).not.toBeNull();

    const after = await storedKeys();
    expect([...after.keys()].filter((name) => name.startsWith(EVE))).toEqual([]);
    const left = [...after.values(), ...(await keyMaterial())];
    const opened = await openArtefacts(thief, left, marks);
    expect(opened.findings.filter((finding) => finding.marks.length > 0)).toEqual([]);
    // Files that are keys themselves would open a layer without any wrapping.
    for (const diskId of await readdir(loot)) {
      for (const name of await readdir(join(loot, diskId, "layers")).catch(() => [])) {
        for (const key of left) {
          const path = join(loot, diskId, "layers", name);
          const found = (await searchQcow2(path, key, { qemuImgCommand, marks })) ?? [];
          expect(found).toEqual([]);
        }
      }
    }
    expect(await plainHits()).toEqual([]);
    const secrets = new Map<string, Uint8Array>();
    for (const [kind, keys] of Object.entries({ workspace: eves, layer: layerKeys })) {
      for (const [index, key] of keys.entries()) {
        secrets.set(`${kind} key ${index}`, key);
        secrets.set(`${kind} key ${index} in hex`, Buffer.from(Buffer.from(key).toString("hex")));
      }
    }
    // The search does find what is there.
    const known = new Map([["data directory", Buffer.from(hostd.at("data"))]]);
    expect(await inMemoryOf(hostd.pid, known)).toHaveLength(1);
    expect(await inMemoryOf(hostd.pid, secrets)).toEqual([]);

    // Bob hears nothing of it.
    expect(await hostd.shell(bobs, "cat ~/mine")).toBe("of-bob");
    await hostd.ask("POST", `/v1/workspaces/${bobs.workspaceId}/stop`, {});
    await hostd.ask("POST", `/v1/workspaces/${bobs.workspaceId}/resume`, {});
    expect(await hostd.shell(bobs, "cat ~/mine")).toBe("of-bob");
  } finally {
    await promisify(execFile)("rm", ["-rf", loot]);
  }
});
