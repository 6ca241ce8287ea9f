import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CHUNK_BYTES } from "./seal.ts";
import {
  findManifests,
  openSnapshot,
  proveManifest,
  readManifest,
  type SnapshotManifest,
  type SnapshotOrigin,
  writeSnapshot,
} from "./snapshot-store.ts";

const origin = (): SnapshotOrigin => ({
  workspaceId: randomUUID(),
  epoch: 3,
  fingerprint: "test 1",
  imageKey: "image",
  templateId: "template",
  memoryMb: 512,
});

async function directory() {
  const path = await mkdtemp(join(tmpdir(), "atoll-snapshots-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function* pieces(bytes: Buffer, size = 300_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function load(path: string, key: Uint8Array, manifest: SnapshotManifest): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await using file = await openSnapshot(path, key, manifest);
  for await (const part of file.read()) parts.push(part);
  return Buffer.concat(parts);
}

/** Repetitive enough to be compressed, different in every place. */
function state(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4096) bytes.writeUInt32LE(at ^ 0x5a5a5a5a, at);
  return bytes;
}

test.each([0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 12_345])(
  "%i bytes come back as they were",
  async (sizeBytes) => {
    await using place = await directory();
    const key = randomBytes(32);
    const plain = state(sizeBytes);
    const manifest = await writeSnapshot(place.path, key, origin(), pieces(plain), 1000);
    expect(manifest).toMatchObject({ plainBytes: sizeBytes, epoch: 3, createdAtMs: 1000 });
    expect((await load(place.path, key, manifest)).equals(plain)).toBe(true);
    expect(await readManifest(place.path, manifest.snapshotId)).toEqual(manifest);
  },
);

test("nothing readable is in the file, and only its owner may read it", async () => {
  await using place = await directory();
  const plain = Buffer.concat([randomBytes(64), Buffer.from("MARKER-OF-THE-USER"), randomBytes(64)]);
  const { snapshotId } = await writeSnapshot(place.path, randomBytes(32), origin(), pieces(plain), 1000);
  for (const name of await readdir(place.path)) {
    const path = join(place.path, name);
    expect((await stat(path)).mode & 0o077).toBe(0);
    expect((await readFile(path)).includes("MARKER-OF-THE-USER")).toBe(false);
  }
  expect((await readdir(place.path)).sort()).toEqual([`${snapshotId}.json`, `${snapshotId}.sealed`]);
});

test("every kind of damage is an invalid snapshot", async () => {
  await using place = await directory();
  const key = randomBytes(32);
  const manifest = await writeSnapshot(
    place.path,
    key,
    origin(),
    pieces(randomBytes(3 * CHUNK_BYTES + 100)),
    1000,
  );
  const path = join(place.path, `${manifest.snapshotId}.sealed`);
  const good = await readFile(path);
  const chunkEnds: number[] = [];
  for (let at = 0; at < good.length; ) {
    at += 4 + good.readUInt32BE(at);
    chunkEnds.push(at);
  }
  const [first = 0, second = 0] = chunkEnds;
  const flipped = (at: number) => {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] as number) ^ 1;
    return bytes;
  };
  const swapped = Buffer.concat([
    good.subarray(first, second),
    good.subarray(0, first),
    good.subarray(second),
  ]);
  const cut = good.subarray(0, chunkEnds.at(-2));
  const damaged: [string, Buffer][] = [
    ["first length", flipped(0)],
    ["first byte", flipped(4)],
    ["middle", flipped(second + 1000)],
    ["last tag", flipped(good.length - 1)],
    ["swapped chunks", swapped],
  ];
  for (const [name, bytes] of damaged) {
    await writeFile(path, bytes);
    await expect(load(place.path, key, manifest), name).rejects.toMatchObject({ code: "snapshot.invalid" });
  }
  for (const [name, bytes] of [
    ["cut behind a chunk", cut],
    ["cut inside a chunk", good.subarray(0, good.length - 5)],
    ["nothing left", Buffer.alloc(0)],
    ["longer", Buffer.concat([good, good])],
  ] as const) {
    await writeFile(path, bytes);
    await expect(load(place.path, key, manifest), name).rejects.toMatchObject({ code: "snapshot.invalid" });
    // Also when the length was made to fit.
    const fitting = proveManifest(key, { ...manifest, sealedBytes: bytes.length });
    await expect(load(place.path, key, fitting), name).rejects.toMatchObject({ code: "snapshot.invalid" });
  }
  await rm(path);
  await expect(load(place.path, key, manifest)).rejects.toMatchObject({ code: "snapshot.invalid" });
});

test("a snapshot belongs to its workspace, its epoch and its name", async () => {
  await using place = await directory();
  const key = randomBytes(32);
  const manifest = await writeSnapshot(place.path, key, origin(), pieces(state(1000)), 1000);
  for (const changed of [{ epoch: 4 }, { workspaceId: randomUUID() }] satisfies Partial<SnapshotManifest>[]) {
    const proven = proveManifest(key, { ...manifest, ...changed });
    await expect(load(place.path, key, proven)).rejects.toMatchObject({ code: "snapshot.invalid" });
  }
  await expect(load(place.path, randomBytes(32), manifest)).rejects.toMatchObject({
    code: "snapshot.invalid",
  });
  const other = randomUUID();
  await rename(join(place.path, `${manifest.snapshotId}.json`), join(place.path, `${other}.json`));
  await expect(readManifest(place.path, other)).rejects.toMatchObject({ code: "snapshot.invalid" });
  await expect(readManifest(place.path, "../secret")).rejects.toMatchObject({ code: "snapshot.invalid" });
});

test("nothing that a manifest says can be changed without its workspace's key", async () => {
  await using place = await directory();
  const key = randomBytes(32);
  const over = { ...origin(), baseId: randomUUID() };
  const manifest = await writeSnapshot(place.path, key, over, pieces(state(1000)), 1000);
  const path = join(place.path, `${manifest.snapshotId}.json`);
  const changes: Partial<SnapshotManifest> = {
    ...{ workspaceId: randomUUID(), epoch: 4, fingerprint: "test 2", imageKey: "other", templateId: null },
    baseId: randomUUID(),
    ...{ memoryMb: 1024, sealedBytes: 1, sealedSha256: "0".repeat(64), plainBytes: 1, createdAtMs: 2000 },
    proof: "0".repeat(64),
  };
  for (const [name, value] of Object.entries(changes)) {
    await writeFile(path, JSON.stringify({ ...manifest, [name]: value }));
    const changed = await readManifest(place.path, manifest.snapshotId);
    await expect(load(place.path, key, changed), name).rejects.toMatchObject({ code: "snapshot.invalid" });
  }
  const { format: _format, snapshotId: _snapshotId, key: _key, ...others } = manifest;
  expect(Object.keys(changes).sort()).toEqual(Object.keys(others).sort());
});

test("a newer snapshot replaces the older one, a failed one leaves it", async () => {
  await using place = await directory();
  const key = randomBytes(32);
  const first = await writeSnapshot(place.path, key, origin(), pieces(state(1000)), 1000);
  const failing = async function* () {
    yield Buffer.alloc(10);
    throw new Error("the machine went away");
  };
  await expect(writeSnapshot(place.path, key, origin(), failing(), 2000)).rejects.toThrow("went away");
  expect(await findManifests(place.path, 3)).toEqual([first]);
  expect(await readdir(place.path)).toHaveLength(2);
  const second = await writeSnapshot(place.path, key, { ...origin(), epoch: 4 }, pieces(state(2000)), 3000);
  expect(await findManifests(place.path, 3)).toEqual([]);
  expect(await findManifests(place.path, 4)).toEqual([second]);
  expect(await readdir(place.path)).toHaveLength(2);
});
