/**
 * I7 to I10 on real machines. One mark for each entry of the data map; before the erasure every mark is found where it
 * belongs, so that the search is known to find; after it nothing that is left opens anything.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { KEY_BYTES } from "@atoll/keys/key-store";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { unwrapKey } from "@atoll/keys/wrap-key";
import { openChannel } from "@atoll/protocol/call";
import { deleteAnswer } from "@atoll/protocol/hostd-api";
import { filesPack, VIEW_ROOT } from "@atoll/protocol/messages/views";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { diskRecord } from "../disks/disk-record.ts";
import { unwrapLayers } from "../disks/layer-keys.ts";
import { readBuiltVmm } from "../images/built-images.ts";
import type { LinkClient } from "../testing/link-client.ts";
import { openArtefacts, search, searchQcow2 } from "./open-artefacts.ts";
import { CONTENT, type Entry, Marks, NAMES } from "./testing/data-map.ts";
import { HostdProcess } from "./testing/hostd-process.ts";
import { diskIdOf, plantMarks } from "./testing/plant-marks.ts";
import { inMemoryOf } from "./testing/process-memory.ts";

const EVE = "33333333-3333-4333-8333-333333333333";
const BOB = "44444444-4444-4444-8444-444444444444";

let hostd: HostdProcess;
/** Where hostd keeps what must never lie on a disk; another machine than the erased ones tells. */
let memoryBacked: string;
const marks = new Marks();

beforeAll(async () => {
  hostd = await HostdProcess.start({
    ATOLL_POOL_SIZE: "0",
    ATOLL_PAUSE_GRACE_SECONDS: "0",
    ATOLL_LOG_LEVEL: "debug",
  });
});
afterAll(() => hostd?.[Symbol.asyncDispose]());

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

async function memoryBackedOf(workspaceId: string): Promise<string> {
  const text = await readFile(hostd.at(`data/journal/workspaces/${workspaceId}.json`), "utf8");
  const { machine } = z.object({ machine: z.object({ runDirectory: z.string() }) }).parse(JSON.parse(text));
  expect(machine.runDirectory).toMatch(/^\/dev\/shm\/[^/]+\/run\/[^/]+$/);
  return dirname(dirname(machine.runDirectory));
}

async function ownerKey(ownerId: string): Promise<Uint8Array> {
  const root = await readFile(hostd.at("data/keys/root"));
  const record = await readFile(hostd.at(`data/keys/owners/${ownerId}.json`), "utf8");
  return unwrapKey(
    root,
    z.object({ wrapped: z.string() }).parse(JSON.parse(record)).wrapped,
    `atoll owner key 1 ${ownerId}`,
  );
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

/** For each word that lies somewhere as it is: files below hostd's directory and in the memory-backed one of its machines. */
async function plainPlaces(words: readonly string[]): Promise<Map<string, string[]>> {
  const places = new Map<string, string[]>();
  for (const directory of [hostd.directory, memoryBacked]) {
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = createReadStream(path, { highWaterMark: 4 * 1024 * 1024 });
      const found = await search(bytes, words).catch((error: NodeJS.ErrnoException) => {
        // Gone meanwhile. What cannot be read for another reason was not searched.
        if (error.code === "ENOENT") return [];
        throw error;
      });
      for (const word of found) {
        places.set(word, [...(places.get(word) ?? []), path.slice(directory.length + 1)]);
      }
    }
  }
  return places;
}

/** The search finds what is there. Apart from the marks, which it looks for by what they all begin with. */
async function expectInLog(word: string): Promise<void> {
  expect((await plainPlaces([word])).get(word)).toContain("logs/hostd.log");
}

const content = marks.all(CONTENT);
const names = marks.all(NAMES);

/** Somebody downloads a folder of a checkpoint and prepares a push: neither lies readable, meanwhile or in the end. */
async function useView(view: LinkClient): Promise<void> {
  await hostd.run(view, `${marks.inShell("view")}; git init -q /tmp/push; echo $m >/tmp/push/note; sync`);
  expect(await hostd.run(view, "cat /tmp/push/note")).toBe(marks.of("view"));
  const wish = { root: `${VIEW_ROOT}/home`, paths: ["dev"], format: "tar" as const };
  const download = await openChannel(view.mux, filesPack, wish);
  let received = "";
  for await (const item of download.items()) {
    if (received === "") expect(await plainPlaces(content)).toEqual(new Map());
    if (item.kind === "data") received += Buffer.from(item.bytes).toString("latin1");
  }
  for (const entry of ["older disk", "template"] as const) expect(received).toContain(marks.of(entry));
}

/** Keys of all layers that these open. */
async function layerKeysIn(workspaces: string, keys: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const diskId of await readdir(workspaces)) {
    const text = await readFile(join(workspaces, diskId, "disk.json"), "utf8").catch(() => "null");
    const record = diskRecord.safeParse(JSON.parse(text));
    if (!record.success) continue;
    for (const key of keys) {
      try {
        found.push(...unwrapLayers(key, diskId, record.data.layers).map((layer) => layer.key));
      } catch {
        // Another workspace's.
      }
    }
  }
  return found;
}

/** Layers of all directories there are, also of those that no record names. */
async function layerFiles(workspaces: string): Promise<string[]> {
  const entries = await readdir(workspaces, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".qcow2"))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** As it runs, and as it comes back from what lies on the disk. */
async function bobIsThere(one: WorkspaceStatus, ending: "stop" | "pause"): Promise<void> {
  expect(await hostd.shell(one, "cat ~/mine")).toBe("of-bob");
  for (const deed of [ending, "resume"]) {
    await hostd.ask("POST", `/v1/workspaces/${one.workspaceId}/${deed}`, {});
  }
  expect(await hostd.shell(one, "cat ~/mine")).toBe("of-bob");
}

test("after an owner's erasure no file, no key and no byte of hostd's memory gives anything of theirs back", {
  timeout: 1_200_000,
}, async () => {
  const planted = await plantMarks(hostd, EVE, marks);
  const bobs = await hostd.create({ ownerId: BOB, slug: "bobs-reef" });
  memoryBacked = await memoryBackedOf(bobs.workspaceId);
  const origin = { kind: "template" as const, templateId: planted.templateId };
  const taught = await hostd.create({ ownerId: BOB, slug: "bobs-course", origin });
  for (const one of [bobs, taught]) await hostd.shell(one, "echo of-bob > ~/mine; sync");
  // The template's memory for others to begin from, and Bob's own name of it.
  const unpacked = () => readdir(join(memoryBacked, "unpacked"));
  const shared = (await unpacked()).filter((name) => name.startsWith("state-"));
  expect([shared.length, (await unpacked()).length]).toEqual([1, 2]);
  await using view = await hostd.session(planted.main, { checkpointId: planted.older });
  await useView(view);
  const { qemuImgCommand } = await readBuiltVmm(
    process.env.ATOLL_CACHE ?? join(import.meta.dirname, "../../../../.data/cache"),
  );

  // Nothing of the content lies readable while everything exists; names lie in hostd's own records and nowhere else.
  const places = await plainPlaces([...content, ...names]);
  expect([...places.keys()].toSorted()).toEqual(names.toSorted());
  for (const path of [...places.values()].flat()) {
    expect(path).toMatch(/^data\/(journal\/workspaces\/|workspaces\/[^/]+\/checkpoints\/)[^/]+\.json$/);
  }
  await expectInLog(planted.main.workspaceId);
  const viewed = new Set(await readdir(hostd.at("data/workspaces")));
  const loot = join(tmpdir(), `atoll-loot-${randomBytes(6).toString("hex")}`);
  await promisify(execFile)("cp", ["-a", hostd.at("data/workspaces"), loot]);
  try {
    const before = await storedKeys();
    const eves = [...before].filter(([name]) => name.startsWith(EVE)).map(([, key]) => key);
    const thief = { workspaces: loot, qemuImgCommand };
    const { findings } = await openArtefacts(thief, eves, content);
    const foundAt = (entry: Entry) =>
      findings.filter((finding) => finding.marks.includes(marks.of(entry))).map(({ where }) => where);
    for (const [entry, place] of planted.places) {
      const isThere = foundAt(entry).some((where) => where.startsWith(place));
      expect(isThere, `${entry} in ${place}: ${foundAt(entry).join(", ")}`).toBe(true);
    }
    // Her own course has her template's memory under its own key, as Bob's has.
    const course = foundAt("course")[0]?.split(" ")[0] ?? "";
    expect(findings.map(({ where }) => where)).toContain(`${course} memory base`);
    expect([...planted.places.keys(), "view"].sort()).toEqual([...CONTENT].sort());
    // What a view writes is under a key that is stored nowhere: it was read above, and not even its owner's keys open it.
    expect(foundAt("view")).toEqual([]);
    const layerKeys = await layerKeysIn(loot, eves);
    expect(layerKeys.length).toBeGreaterThan(0);
    const owner = [await ownerKey(EVE)];

    const answer = deleteAnswer.parse(await hostd.ask("DELETE", `/v1/owners/${EVE}`));
    expect(answer.erasures.length).toBe(5);
    expect(answer.ownerKeyDestroyedAtMs).not.toBeNull();
    expect((await view.ended).code).toBe("workspace.deleted");

    const after = await storedKeys();
    expect([...after.keys()].filter((name) => name.startsWith(EVE))).toEqual([]);
    const left = [...after.values(), ...(await keyMaterial())];
    const { findings: found } = await openArtefacts(thief, left, content);
    const opened = found.filter((one) => one.marks.length > 0);
    // What she published is Bob's as well, and of that only what she published.
    const bobsCourse = await diskIdOf(hostd, "workspaces", taught.workspaceId);
    expect(opened.map(({ where }) => where.split(" ")[0])).toContain(bobsCourse);
    const openedPlaces = found.map(({ where }) => where);
    expect(openedPlaces).toContain(`${bobsCourse} memory base`);
    expect(openedPlaces.filter((where) => where.startsWith(course))).toEqual([]);
    const older = ["older disk", "template", "half-way upload"] as const;
    for (const { where, marks: read } of opened) {
      expect(where.startsWith(bobsCourse), where).toBe(true);
      expect(marks.all(older)).toEqual(expect.arrayContaining(read));
    }
    // Files that are keys themselves would open a layer without any wrapping.
    for (const path of await layerFiles(loot)) {
      for (const key of left) {
        expect((await searchQcow2(path, key, { qemuImgCommand, marks: content })) ?? []).toEqual([]);
      }
    }
    expect(await plainPlaces([...content, ...names])).toEqual(new Map());
    await expectInLog(planted.main.workspaceId);
    expect((await unpacked()).filter((name) => shared.includes(name))).toEqual([]);
    // The directories of her disks, of her template and of the view.
    const kept = () => readdir(hostd.at("data/workspaces"));
    await expect.poll(async () => viewed.size - (await kept()).length, { timeout: 30_000 }).toBe(6);
    expect((await kept()).filter((name) => !viewed.has(name))).toEqual([]);

    const secrets = new Map<string, Uint8Array>();
    for (const [kind, keys] of Object.entries({ owner, workspace: eves, layer: layerKeys })) {
      for (const [index, key] of keys.entries()) {
        secrets.set(`${kind} key ${index}`, key);
        secrets.set(`${kind} key ${index} in hex`, Buffer.from(Buffer.from(key).toString("hex")));
      }
    }
    // The search does find what is there.
    const known = new Map([["data directory", Buffer.from(hostd.at("data"))]]);
    expect(await inMemoryOf(hostd.pid, known)).toHaveLength(1);
    expect(await inMemoryOf(hostd.pid, secrets)).toEqual([]);

    await bobIsThere(taught, "stop");
    await bobIsThere(bobs, "pause");
  } finally {
    await promisify(execFile)("rm", ["-rf", loot]);
  }
});
