import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile } from "@atoll/durable/replace-file";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import { deriveKey } from "@atoll/keys/derive-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import { DiskDirectory } from "./disk-directory.ts";
import type { LayerRecord } from "./disk-record.ts";
import { unwrapLayers, wrapLayers } from "./layer-keys.ts";
import { removeUnfinished } from "./remove-unfinished.ts";

async function parent() {
  const path = await mkdtemp(join(tmpdir(), "atoll-disks-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const workspaceKey = () => new Uint8Array(randomBytes(32));

const record = (key: Uint8Array, diskId: string, layerIds = [randomUUID()]) => ({
  ...{ epoch: 1, imageKey: "image", templateId: "template" },
  layers: wrapLayers(
    key,
    diskId,
    layerIds.map((layerId) => ({ layerId, key: new Uint8Array(randomBytes(32)) })),
  ),
  ...{ isTopEmpty: true, parentId: null, sameAs: randomUUID(), isArchived: false, memoryBase: null },
});

test("the epoch rises above both what is stored and what the caller knows, and the top counts as written", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  const first = record(workspaceKey(), disk.diskId);
  await disk.write(first);
  expect(await disk.raiseEpoch(1)).toBe(2);
  expect(await disk.raiseEpoch(1)).toBe(3);
  expect(await disk.raiseEpoch(7)).toBe(8);
  expect(await disk.read()).toEqual({ ...first, format: 2, epoch: 8, isTopEmpty: false, sameAs: null });
  expect((await stat(disk.path)).mode & 0o777).toBe(0o700);
  expect((await stat(disk.layersPath)).mode & 0o777).toBe(0o711);
});

test("a record that cannot be read raises nothing", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  await expect(disk.raiseEpoch(1)).rejects.toMatchObject({ code: "workspace.record_damaged" });
  await writeFile(join(disk.path, "disk.json"), '{"format":2,"epoch":"1"}');
  await expect(disk.raiseEpoch(1)).rejects.toMatchObject({ code: "workspace.record_damaged" });
});

test("who may not change disks any more writes no record", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  await disk.write(record(workspaceKey(), disk.diskId));
  const loser = new DiskDirectory(at.path, disk.diskId, async () => {
    throw new AtollError("host.lease_lost");
  });
  await expect(loser.raiseEpoch(1)).rejects.toMatchObject({ code: "host.lease_lost" });
  expect((await disk.read()).epoch).toBe(1);
});

test("layer keys open for their own disk, layer and workspace only", async () => {
  const [key, diskId] = [workspaceKey(), randomUUID()];
  const { layers } = record(key, diskId, [randomUUID(), randomUUID()]);
  const [first, second] = layers as [LayerRecord, LayerRecord];
  expect(unwrapLayers(key, diskId, layers).map(({ layerId }) => layerId)).toEqual([
    first.layerId,
    second.layerId,
  ]);
  const moved = [{ ...first, key: second.key }];
  for (const wrong of [
    () => unwrapLayers(key, randomUUID(), layers),
    () => unwrapLayers(key, diskId, moved),
    () => unwrapLayers(workspaceKey(), diskId, layers),
  ]) {
    expect(wrong).toThrow(expect.objectContaining({ code: "key.not_found" }));
  }
});

test("a disk of one file becomes a layer under the key it always had, whatever a crash leaves", async () => {
  await using at = await parent();
  const key = workspaceKey();
  const [diskId, bytes] = [randomUUID(), randomBytes(100)];
  const first = { format: 1, epoch: 5, imageKey: "image", templateId: "template" };
  const path = join(at.path, diskId);
  await mkdir(path, { mode: 0o700 });
  await writeFile(join(path, "disk.qcow2"), bytes, { mode: 0o600 });
  await replaceFile(join(path, "disk.json"), JSON.stringify(first));
  const { stateCount } = await everyCrash({
    directory: at.path,
    run: async (recorder) => {
      const disk = new DiskDirectory(at.path, diskId);
      expect(await disk.readEpoch()).toBe(5);
      await disk.migrate(key);
      recorder.acknowledge("migrated");
    },
    check: async (crashed) => {
      const disk = new DiskDirectory(crashed, diskId);
      expect(await disk.readEpoch()).toBe(5);
      await disk.migrate(key);
      const { layers, ...facts } = await disk.read();
      expect(facts).toMatchObject({ epoch: 5, imageKey: "image", templateId: "template", isTopEmpty: false });
      const [layer] = unwrapLayers(key, diskId, layers);
      expect(Buffer.from(layer?.key ?? []).equals(deriveKey(key, "disk"))).toBe(true);
      expect((await readFile(disk.layerPath(layer?.layerId ?? ""))).equals(bytes)).toBe(true);
      await disk.removeLayersExcept(new Set(layers.map(({ layerId }) => layerId)));
      expect((await readdir(disk.path)).filter((name) => !name.endsWith(".tmp")).sort()).toEqual([
        "disk.json",
        "layers",
      ]);
    },
  });
  expect(stateCount).toBeGreaterThan(5);
});

test("layers taken over stay when the disk they came from is removed", async () => {
  await using at = await parent();
  const from = new DiskDirectory(at.path, randomUUID());
  const to = new DiskDirectory(at.path, randomUUID());
  await from.create();
  await to.create();
  const layerId = randomUUID();
  await writeFile(from.layerPath(layerId), "frozen", { mode: 0o600 });
  await from.freeze([layerId]);
  await to.link(from, [layerId]);
  expect([await from.isShared(), await to.isShared()]).toEqual([true, true]);
  await expect(to.link(from, [randomUUID()])).rejects.toMatchObject({ code: "checkpoint.damaged" });
  await from.remove();
  expect(await readFile(to.layerPath(layerId), "utf8")).toBe("frozen");
  expect((await stat(to.layerPath(layerId))).mode & 0o777).toBe(0o444);
  expect(await to.isShared()).toBe(false);
});

test("only layers nobody needs go, and what cut-off writes left", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  const [needed, unneeded] = [randomUUID(), randomUUID()];
  await disk.write(record(workspaceKey(), disk.diskId, [needed]));
  for (const id of [needed, unneeded]) await writeFile(disk.layerPath(id), "");
  await disk.removeLayersExcept(new Set([needed]));
  expect(await disk.layerIds()).toEqual([needed]);
  const names = ["a.json", "a.sealed", "b.sealed", "c.json.0011.tmp"];
  await mkdir(disk.snapshotsPath);
  for (const name of names) await writeFile(join(disk.snapshotsPath, name), "");
  await removeUnfinished(disk.snapshotsPath);
  expect((await readdir(disk.snapshotsPath)).sort()).toEqual(["a.json", "a.sealed"]);
});

test("removing takes snapshots along and can be repeated; no id leads elsewhere", async () => {
  await using at = await parent();
  const disk = new DiskDirectory(at.path, randomUUID());
  await disk.create();
  await mkdir(disk.snapshotsPath);
  await writeFile(join(disk.snapshotsPath, "one"), "");
  await disk.remove();
  await disk.remove();
  expect(await readdir(at.path)).toEqual([]);
  for (const id of ["..", "../x", "", "a/b"]) {
    expect(() => new DiskDirectory(at.path, id)).toThrow();
    expect(() => disk.layerPath(id)).toThrow();
  }
});
