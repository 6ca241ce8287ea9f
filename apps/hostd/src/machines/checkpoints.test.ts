import { randomUUID } from "node:crypto";
import { readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { DISK_LAYERS_FLATTEN, DISK_LAYERS_MAX } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { expect, test, vi } from "vitest";
import type { FakeHypervisorMachine } from "../hypervisor/fake/fake-hypervisor.ts";
import { GuestProbe } from "../testing/guest-probe.ts";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { newRequest, SIZE, TestSource } from "../testing/test-source.ts";

/** Longer than what is used up waits for being made up for. */
const REFILL_MS = 5000;

async function opened(options: Parameters<typeof TestSource.open>[0] = {}) {
  const at = await TestSource.open(options);
  await at.source.sweep(new Set());
  return at;
}

const create = (at: TestSource) => LiveWorkspace.create(at.source, newRequest());

/** Files of a workspace's directory, as a set that may be compared. */
async function layersOf(at: TestSource, { disk }: LiveWorkspace): Promise<string[]> {
  return (await readdir(join(at.directory, "workspaces", disk.diskId, "layers"))).sort();
}

const checkpointsPath = (at: TestSource, { disk }: LiveWorkspace) =>
  join(at.directory, "workspaces", disk.diskId, "checkpoints");

async function recordOf(at: TestSource, { disk }: LiveWorkspace) {
  return JSON.parse(await readFile(join(at.directory, "workspaces", disk.diskId, "disk.json"), "utf8"));
}

async function look(workspace: LiveWorkspace, checkpointId: string | null, key: string) {
  const { machine, linkToken } = await workspace.source.openView(workspace.owner, checkpointId);
  const guest = await GuestProbe.start(machine, { reason: "create", expectedToken: linkToken });
  const value = await guest.readView(key);
  guest.close();
  await machine.kill();
  return value;
}

test("a restore brings files and memory back as they were at the checkpoint, as often as asked", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "old");
  const count = await workspace.guest.count();
  const checkpointId = await workspace.checkpoint();
  await workspace.guest.writeDisk("a", "new");
  expect(await workspace.guest.count()).toBe(count + 1);
  for (let times = 0; times < 3; times++) {
    await workspace.stop();
    await workspace.restore(checkpointId);
    await workspace.resumeCheckpoint(checkpointId);
    expect(await workspace.guest.readDisk("a")).toBe("old");
    expect(await workspace.guest.count()).toBe(count + 1);
    await workspace.guest.writeDisk("a", `new ${times}`);
  }
  expect(at.faults).toEqual([]);
});

test("a checkpoint without memory is restored by a boot, and only its own memory fits it", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  const first = await workspace.checkpoint({ withMemory: false });
  await workspace.guest.writeDisk("a", "2");
  const second = await workspace.checkpoint();
  await workspace.stop();
  await workspace.restore(first);
  for (const id of [first, second]) {
    await expect(workspace.resumeCheckpoint(id)).rejects.toMatchObject({ code: "snapshot.incompatible" });
  }
  await workspace.boot();
  expect(await workspace.guest.readDisk("a")).toBe("1");
  // What ran since is not what the memory knows, even of the same checkpoint.
  await workspace.stop();
  await workspace.restore(second);
  await workspace.boot();
  await workspace.stop();
  await expect(workspace.resumeCheckpoint(second)).rejects.toMatchObject({ code: "snapshot.incompatible" });
});

test("repeating keep, capture of a standing disk, restore, delete and archive changes nothing more", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const checkpointId = randomUUID();
  await using point = await workspace.capture();
  const facts = { checkpointId, name: "first", kind: "named" } as const;
  const info = await at.source.keep(workspace.request, workspace.disk, point, facts);
  const again = { ...facts, name: "second" };
  expect(await at.source.keep(workspace.request, workspace.disk, point, again)).toEqual(info);
  await workspace.stop();
  const before = await layersOf(at, workspace);
  for (let times = 0; times < 3; times++) await (await workspace.capture())[Symbol.asyncDispose]();
  expect(await layersOf(at, workspace)).toHaveLength(before.length + 1);
  await workspace.restore(checkpointId);
  const { epoch } = workspace.disk;
  const restored = await layersOf(at, workspace);
  // As after a crash: the journal still knows the epoch before.
  workspace.disk = { ...workspace.disk, epoch: epoch - 1 };
  await workspace.restore(checkpointId);
  expect([workspace.disk.epoch, await layersOf(at, workspace)]).toEqual([epoch, restored]);
  for (let times = 0; times < 2; times++) {
    workspace.disk = await at.source.archive(workspace.request, workspace.disk);
    await expect(workspace.boot()).rejects.toMatchObject({ code: "workspace.busy" });
  }
  for (let times = 0; times < 2; times++) {
    workspace.disk = await at.source.unarchive(workspace.request, workspace.disk);
  }
  for (let times = 0; times < 2; times++) await at.source.deleteCheckpoint(workspace.owner, checkpointId);
  await workspace.boot();
  expect(at.faults).toEqual([]);
});

test("a point taken while the guest runs on holds what was before it", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "before");
  const count = await workspace.guest.count();
  await using point = await workspace.capture();
  await workspace.guest.writeDisk("a", "after");
  await workspace.guest.count();
  const forks = await Promise.all([0, 1, 2, 3].map(() => workspace.fork(newRequest(), point)));
  for (const [index, fork] of forks.entries()) {
    expect(await fork.guest.readDisk("a")).toBe("before");
    expect(await fork.guest.count()).toBe(count + 1);
    await fork.guest.writeDisk("a", `fork ${index}`);
  }
  for (const [index, fork] of forks.entries()) expect(await fork.guest.readDisk("a")).toBe(`fork ${index}`);
  expect(await workspace.guest.readDisk("a")).toBe("after");
  const all = [workspace, ...forks];
  expect(new Set(all.map(({ disk }) => disk.diskId)).size).toBe(5);
  const keys = await Promise.all(all.map(({ request }) => at.keys.unwrapWorkspaceKey(request)));
  expect(new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size).toBe(5);
  expect(at.faults).toEqual([]);
});

test("a fork begun before its origin's state is taken holds that state, whatever was frozen since it was begun", async () => {
  await using at = await opened();
  const workspace = await create(at);
  for (const captures of [1, 2]) {
    const request = newRequest();
    const machinesBefore = at.host.machines.size;
    await using prepared = workspace.prepareFork(request);
    await vi.waitFor(() => expect(at.host.machines.size).toBe(machinesBefore + 1));
    await workspace.guest.writeDisk("a", `${captures}`);
    const count = await workspace.guest.count();
    for (let more = 1; more < captures; more++) await (await workspace.capture())[Symbol.asyncDispose]();
    await using point = await workspace.capture();
    await workspace.guest.writeDisk("a", "after");
    const launch = vi.spyOn(at.hypervisor, "launch");
    const fork = await workspace.fork(request, point, prepared);
    expect(launch).not.toHaveBeenCalled();
    launch.mockRestore();
    expect([await fork.guest.readDisk("a"), await fork.guest.count()]).toEqual([`${captures}`, count + 1]);
    await fork.guest.writeDisk("a", "fork");
    await fork.stop();
    await fork.boot();
    expect([await fork.guest.readDisk("a"), await workspace.guest.readDisk("a")]).toEqual(["fork", "after"]);
    await fork.stop();
    expect(at.host.machines.size).toBe(machinesBefore);
  }
  expect(at.faults).toEqual([]);
});

test("from the first fork of what runs on a process waits for the next one, and takes layers frozen at any time", async () => {
  await using at = await opened({ poolSize: 1 });
  await at.source.settled();
  const workspace = await create(at);
  const made = async () => {
    at.clock.advance(REFILL_MS);
    await at.source.settled();
    return at.source.readyMemoryMb / SIZE.memoryMb;
  };
  // The machine that waits for a create.
  expect(await made()).toBe(1);
  const launch = vi.spyOn(at.hypervisor, "launch");
  for (const value of ["1", "2", "3"]) {
    launch.mockClear();
    const request = newRequest();
    await using prepared = workspace.prepareFork(request);
    await workspace.guest.writeDisk("a", value);
    const count = await workspace.guest.count();
    await using point = await workspace.capture();
    await workspace.guest.writeDisk("a", "after");
    const fork = await workspace.fork(request, point, prepared);
    expect(launch).toHaveBeenCalledTimes(value === "1" ? 1 : 0);
    expect([await fork.guest.readDisk("a"), await fork.guest.count()]).toEqual([value, count + 1]);
    await fork.stop();
    await fork.boot();
    expect(await fork.guest.readDisk("a")).toBe(value);
    await fork.stop();
    expect(await made()).toBe(2);
  }
  // Another size has one of its own, made now.
  const wish = { ...newRequest(), size: { ...SIZE, diskMb: SIZE.diskMb * 2 } };
  launch.mockClear();
  await workspace.prepareFork(wish)[Symbol.asyncDispose]();
  expect(launch).toHaveBeenCalledTimes(1);
  expect(at.faults).toEqual([]);
  await workspace.stop();
  await at.source[Symbol.asyncDispose]();
  expect(at.host.machines.size).toBe(0);
});

test("a fork that was begun and is not used leaves nothing, and one that cannot be is made anew", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  const before = await at.workspaces;
  for (const request of [newRequest(), { ...newRequest(), size: { ...SIZE, memoryMb: 1024 } }]) {
    await workspace.prepareFork(request)[Symbol.asyncDispose]();
  }
  expect([await at.workspaces, at.host.machines.size]).toEqual([before, 1]);
  const machine = workspace.machine as FakeHypervisorMachine;
  machine.monitorError = new AtollError("vm.monitor_failed");
  await workspace.prepareFork(newRequest())[Symbol.asyncDispose]();
  machine.monitorError = undefined;
  expect(at.faults.splice(0)).toMatchObject([{ code: "vm.monitor_failed" }]);

  // Flattened in between: what it stands on is not what the state lies over.
  await (await workspace.capture(false))[Symbol.asyncDispose]();
  const request = newRequest();
  {
    await using prepared = workspace.prepareFork(request);
    await vi.waitFor(() => expect(at.host.machines.size).toBe(2));
    for (let index = 0; index < DISK_LAYERS_FLATTEN; index++) {
      await (await workspace.capture(false))[Symbol.asyncDispose]();
    }
    workspace.disk = await at.source.flatten(workspace.request, workspace.disk, workspace.machine);
    await using point = await workspace.capture();
    const fork = await workspace.fork(request, point, prepared);
    expect(await fork.guest.readDisk("a")).toBe("1");
    await fork.stop();
  }
  expect([(await at.workspaces).length, at.host.machines.size]).toEqual([before.length + 1, 1]);

  // Its process is gone when it is wanted.
  const again = newRequest();
  await using prepared = workspace.prepareFork(again);
  await vi.waitFor(() => expect(at.host.machines.size).toBe(2));
  await using point = await workspace.capture();
  for (const other of [...at.host.machines.values()]) if (other !== machine) await other.kill();
  const fork = await workspace.fork(again, point, prepared);
  expect(await fork.guest.readDisk("a")).toBe("1");
  expect(at.faults).toMatchObject([{ code: "vm.gone" }]);
  await fork.stop();
});

test("forks share layers as files and each keeps its own when the others are destroyed", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "shared");
  const checkpointId = await workspace.checkpoint();
  const point = await at.source.openCheckpoint(workspace.owner, checkpointId);
  const fork = await workspace.fork(newRequest(), point);
  const nested = await fork.fork(newRequest(), await fork.capture(false));
  await point[Symbol.asyncDispose]();
  const [shared] = (await recordOf(at, workspace)).layers;
  const path = join(at.directory, "workspaces", fork.disk.diskId, "layers", `${shared.layerId}.qcow2`);
  expect((await stat(path)).nlink).toBe(3);
  const { usage } = await at.source.listCheckpoints(workspace.owner);
  expect(usage.layerCount).toBe(2);
  await workspace.stop();
  await workspace.destroy();
  await expect(workspace.boot()).rejects.toThrow();
  await expect(at.keys.unwrapWorkspaceKey(workspace.request)).rejects.toMatchObject({
    code: "key.not_found",
  });
  expect(await fork.guest.readDisk("a")).toBe("shared");
  await fork.stop();
  await fork.destroy();
  await nested.stop();
  await nested.boot();
  expect(await nested.guest.readDisk("a")).toBe("shared");
});

test("what a destroyed workspace's directory held opens nothing, even with a fork's key there", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const checkpointId = await workspace.checkpoint();
  await using point = await at.source.openCheckpoint(workspace.owner, checkpointId);
  const fork = await workspace.fork(newRequest(), point);
  await workspace.stop();
  const path = join(at.directory, "workspaces", workspace.disk.diskId);
  const stolen = join(at.directory, "stolen");
  await rename(path, stolen);
  await workspace.destroy();
  await rename(stolen, path);
  await expect(workspace.boot()).rejects.toMatchObject({ code: "key.not_found" });
  await expect(at.source.openCheckpoint(workspace.owner, checkpointId)).rejects.toMatchObject({
    code: "key.not_found",
  });
  // Under the fork's owner the origin's own records do not open either.
  const { ownerId, workspaceId } = fork.request;
  await expect(
    at.source.openCheckpoint({ ownerId, workspaceId, disk: workspace.disk }, checkpointId),
  ).rejects.toMatchObject({ code: "checkpoint.damaged" });
});

test("a fork of a paused workspace has its memory, and the pause stays good", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  const count = await workspace.guest.count();
  const snapshot = await workspace.pause();
  const point = await workspace.capture();
  expect(point.hasMemory).toBe(true);
  await workspace.resume(snapshot);
  expect(await workspace.guest.count()).toBe(count + 1);
  await workspace.guest.writeDisk("a", "2");
  // The snapshot was consumed and removed; the point still holds it open.
  const fork = await workspace.fork(newRequest(), point);
  await point[Symbol.asyncDispose]();
  expect([await fork.guest.count(), await fork.guest.readDisk("a")]).toEqual([count + 1, "1"]);
  expect(await workspace.guest.readDisk("a")).toBe("2");
});

test("a fork of another size or monitor boots; a smaller disk is refused", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  await using point = await workspace.capture();
  const larger = { ...newRequest(), size: { ...SIZE, memoryMb: 1024, diskMb: 128 } };
  const created = await at.source.createFrom(larger, point);
  expect([created.startsBy, created.linkToken]).toEqual(["boot", FIRST_LINK_TOKEN]);
  const fork = await LiveWorkspace.begin(at.source, larger, created);
  expect(await fork.guest.readDisk("a")).toBe("1");
  const smaller = { ...newRequest(), size: { ...SIZE, diskMb: 32 } };
  await expect(at.source.createFrom(smaller, point)).rejects.toMatchObject({ code: "request.invalid" });
  const checkpointId = await workspace.checkpoint();
  await using updated = await TestSource.open({ previous: at, fingerprint: "fake 2" });
  await using kept = await updated.source.openCheckpoint(workspace.owner, checkpointId);
  expect((await updated.source.createFrom(newRequest(), kept)).startsBy).toBe("boot");
});

test("a fork that cannot start or be stored leaves nothing", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await using point = await workspace.capture();
  const before = await at.workspaces;
  const request = newRequest();
  await at.keys.destroyWorkspaceKey(request);
  await expect(at.source.createFrom(request, point)).rejects.toMatchObject({ code: "key.not_found" });
  expect([await at.workspaces, at.host.machines.size]).toEqual([before, 1]);
  const { launch } = at.hypervisor;
  at.hypervisor.launch = async () => {
    throw new Error("no process");
  };
  await expect(at.source.createFrom(newRequest(), point)).rejects.toThrow("no process");
  at.hypervisor.launch = launch;
  expect(await at.workspaces).toEqual(before);
});

test("the timeline names parents, sizes and the present, also after one of it was deleted", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const ids: string[] = [];
  for (const name of ["1", "2", "3"]) {
    at.clock.advance(1000);
    await workspace.guest.writeDisk("a", name);
    ids.push(await workspace.checkpoint({ name, withMemory: name !== "2" }));
  }
  const [first, second, third] = ids as [string, string, string];
  const listed = await at.source.listCheckpoints(workspace.owner);
  expect(
    listed.checkpoints.map(({ checkpointId, parentId, hasMemory }) => [checkpointId, parentId, hasMemory]),
  ).toEqual([
    [third, second, true],
    [second, first, false],
    [first, null, true],
  ]);
  expect(listed.currentParentId).toBe(third);
  expect(listed.usage.snapshotBytes).toBeGreaterThan(0);
  await at.source.deleteCheckpoint(workspace.owner, second);
  const after = await at.source.listCheckpoints(workspace.owner);
  expect(after.checkpoints.map(({ checkpointId, parentId }) => [checkpointId, parentId])).toEqual([
    [third, first],
    [first, null],
  ]);
  await at.source.deleteCheckpoint(workspace.owner, third);
  expect((await at.source.listCheckpoints(workspace.owner)).currentParentId).toBe(first);
  await workspace.stop();
  await workspace.restore(first);
  await workspace.resumeCheckpoint(first);
  expect(await workspace.guest.readDisk("a")).toBe("1");
});

test("layers go when nothing names them any more, and never one that a live point needs", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  const first = await workspace.checkpoint();
  await workspace.guest.writeDisk("a", "2");
  const second = await workspace.checkpoint();
  await workspace.stop();
  await workspace.restore(first);
  expect(await layersOf(at, workspace)).toHaveLength(3);
  const point = await at.source.openCheckpoint(workspace.owner, second);
  await at.source.deleteCheckpoint(workspace.owner, second);
  expect(await layersOf(at, workspace)).toHaveLength(3);
  const fork = await workspace.fork(newRequest(), point);
  expect(await fork.guest.readDisk("a")).toBe("2");
  await point[Symbol.asyncDispose]();
  await at.source.sweep(new Set([workspace.disk.diskId, fork.disk.diskId]));
  expect(await layersOf(at, workspace)).toHaveLength(2);
  await workspace.resumeCheckpoint(first);
  expect(await workspace.guest.readDisk("a")).toBe("1");
});

test("a checkpoint cut, flipped, changed, swapped or of another workspace is damaged; the others and the disk are fine", async () => {
  await using at = await opened();
  const [workspace, other] = [await create(at), await create(at)];
  const good = await workspace.checkpoint();
  const bad = await workspace.checkpoint();
  const foreign = await other.checkpoint();
  const path = join(checkpointsPath(at, workspace), `${bad}.json`);
  const text = await readFile(path, "utf8");
  const record = JSON.parse(text);
  const texts: [string, string][] = [
    ["cut", text.slice(0, -10)],
    ["empty", ""],
    ["layers in another order", JSON.stringify({ ...record, layers: record.layers.toReversed() })],
    ["a layer less", JSON.stringify({ ...record, layers: record.layers.slice(1) })],
    ["no memory", JSON.stringify({ ...record, memory: null })],
    ["another template", JSON.stringify({ ...record, templateId: "other" })],
    ["another name inside", text.replaceAll(bad, good)],
    [
      "another workspace's",
      (await readFile(join(checkpointsPath(at, other), `${foreign}.json`), "utf8")).replaceAll(foreign, bad),
    ],
  ];
  for (const [name, changed] of texts) {
    await writeFile(path, changed);
    await expect(at.source.openCheckpoint(workspace.owner, bad), name).rejects.toMatchObject({
      code: "checkpoint.damaged",
    });
  }
  const { checkpoints } = await at.source.listCheckpoints(workspace.owner);
  expect(checkpoints.map(({ checkpointId }) => checkpointId)).toContain(good);
  await writeFile(path, text);
  const sealed = join(checkpointsPath(at, workspace), `${bad}.sealed`);
  const { size } = await stat(sealed);
  await truncate(sealed, size - 1);
  await expect(at.source.openCheckpoint(workspace.owner, bad)).rejects.toMatchObject({
    code: "checkpoint.damaged",
  });
  // Without its memory it can still be looked at and restored.
  await (await at.source.openCheckpoint(workspace.owner, bad, { withMemory: false }))[Symbol.asyncDispose]();
  await expect(at.source.openCheckpoint(workspace.owner, randomUUID())).rejects.toMatchObject({
    code: "checkpoint.not_found",
  });
  for (const id of [bad, good]) await at.source.deleteCheckpoint(workspace.owner, id);
  expect(await readdir(checkpointsPath(at, workspace))).toEqual([]);
  expect(await workspace.guest.count()).toBeGreaterThan(0);
});

test("flipped memory of a checkpoint: a restore says so and boots, a fork boots", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  const checkpointId = await workspace.checkpoint();
  await workspace.stop();
  const sealed = join(checkpointsPath(at, workspace), `${checkpointId}.sealed`);
  const bytes = await readFile(sealed);
  bytes[20] = (bytes[20] as number) ^ 1;
  await writeFile(sealed, bytes);
  await workspace.restore(checkpointId);
  await expect(workspace.resumeCheckpoint(checkpointId)).rejects.toMatchObject({
    code: "checkpoint.damaged",
  });
  expect(at.host.machines.size).toBe(0);
  await using point = await at.source.openCheckpoint(workspace.owner, checkpointId);
  const fork = await workspace.fork(newRequest(), point);
  expect(await fork.guest.readDisk("a")).toBe("1");
  expect(at.faults).toMatchObject([{ code: "checkpoint.damaged" }]);
  await workspace.boot();
  expect(await workspace.guest.readDisk("a")).toBe("1");
});

test("a checkpoint whose layer is gone is damaged", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const checkpointId = await workspace.checkpoint();
  await using point = await workspace.capture(false);
  await workspace.stop();
  const [lowest] = (await recordOf(at, workspace)).layers;
  await rm(join(at.directory, "workspaces", workspace.disk.diskId, "layers", `${lowest.layerId}.qcow2`));
  await expect(at.source.openCheckpoint(workspace.owner, checkpointId)).rejects.toMatchObject({
    code: "checkpoint.damaged",
  });
  await expect(at.source.createFrom(newRequest(), point)).rejects.toMatchObject({
    code: "checkpoint.damaged",
  });
});

test("hostd ends between the new layer and the switch to it: nothing is lost, and the next capture uses it", async () => {
  await using killed = await opened();
  const workspace = await create(killed);
  await workspace.guest.writeDisk("a", "1");
  const { machine } = workspace;
  if (machine === undefined) throw new Error("no machine");
  const { switchLayer } = machine;
  machine.switchLayer = async () => {
    throw new Error("hostd ended here");
  };
  await expect(workspace.capture()).rejects.toThrow("hostd ended here");
  machine.switchLayer = switchLayer;
  workspace.close();
  const before = (await recordOf(killed, workspace)).layers;
  expect(before).toHaveLength(2);
  await using at = await TestSource.open({ previous: killed });
  await at.hypervisor.adopt(machine.record);
  await at.source.sweep(new Set([workspace.disk.diskId]));
  const next = new LiveWorkspace(at.source, workspace.request, workspace.disk);
  next.linkToken = workspace.linkToken;
  await next.run(machine, { reason: "reconnect", expectedToken: workspace.linkToken });
  await next.guest.writeDisk("a", "2");
  const checkpointId = await next.checkpoint();
  expect((await recordOf(at, next)).layers).toEqual(before);
  await next.guest.writeDisk("a", "3");
  await next.stop();
  await next.restore(checkpointId);
  await next.resumeCheckpoint(checkpointId);
  expect(await next.guest.readDisk("a")).toBe("2");
});

test("a capture that fails anywhere lets the guest run on, and the disk is whole", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const { machine } = workspace;
  if (machine === undefined) throw new Error("no machine");
  await workspace.guest.writeDisk("a", "1");
  for (const step of ["changedBytes", "topLayerId", "stop", "switchLayer", "saveState"] as const) {
    const real = machine[step];
    Object.assign(machine, {
      [step]: () => {
        throw new Error(step);
      },
    });
    await expect(workspace.capture(), step).rejects.toThrow(step);
    Object.assign(machine, { [step]: real });
    await workspace.guest.thaw();
    await workspace.guest.writeDisk("a", step);
  }
  const checkpointId = await workspace.checkpoint();
  await workspace.stop();
  await workspace.boot();
  expect(await workspace.guest.readDisk("a")).toBe("saveState");
  await workspace.stop();
  await workspace.restore(checkpointId);
  await workspace.resumeCheckpoint(checkpointId);
  expect(await workspace.guest.readDisk("a")).toBe("saveState");
});

test("copies of memory are bounded together, and given back", async () => {
  await using at = await opened({ source: { capturedMemoryMaxBytes: 300 } });
  const workspace = await create(at);
  const points = [await workspace.capture(), await workspace.capture()];
  await expect(workspace.capture()).rejects.toMatchObject({ code: "host.full" });
  await workspace.guest.thaw();
  await (await workspace.capture(false))[Symbol.asyncDispose]();
  for (const point of points) await point[Symbol.asyncDispose]();
  await (await workspace.capture())[Symbol.asyncDispose]();
});

test("flattening leaves one layer with the same content, while the guest runs, stands, or is paused", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const addLayers = async (name: string) => {
    for (let index = 0; (await recordOf(at, workspace)).layers.length < DISK_LAYERS_FLATTEN; index++) {
      await workspace.guest.writeDisk(`${name} ${index}`, `${index}`);
      await (await workspace.capture(false))[Symbol.asyncDispose]();
    }
  };
  await addLayers("live");
  await at.source.flatten(workspace.request, workspace.disk, workspace.machine);
  expect(await layersOf(at, workspace)).toHaveLength(1);
  expect(await workspace.guest.readDisk("live 0")).toBe("0");
  const checkpointId = await workspace.checkpoint();
  await addLayers("still");
  const snapshot = await workspace.pause();
  await at.source.flatten(workspace.request, workspace.disk, undefined);
  expect((await recordOf(at, workspace)).layers).toHaveLength(1);
  await workspace.resume(snapshot);
  expect(await workspace.guest.readDisk("live 0")).toBe("0");
  expect(await workspace.guest.readDisk("still 1")).toBe("1");
  await workspace.stop();
  // The checkpoint's layers are not the disk's any more, and still there.
  await workspace.restore(checkpointId);
  await workspace.resumeCheckpoint(checkpointId);
  expect(await workspace.guest.readDisk("still 1")).toBeUndefined();
  expect(await workspace.guest.readDisk("live 0")).toBe("0");
});

test("a flattening gives way to a capture, and the disk stays whole", async () => {
  await using at = await opened();
  const workspace = await create(at);
  for (let index = 0; index < DISK_LAYERS_FLATTEN; index++) {
    await workspace.guest.writeDisk(`${index}`, `${index}`);
    await (await workspace.capture(false))[Symbol.asyncDispose]();
  }
  const { machine } = workspace;
  if (machine === undefined) throw new Error("no machine");
  const begun = Promise.withResolvers<void>();
  machine.flatten = (signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      begun.resolve();
    });
  const flattening = at.source.flatten(workspace.request, workspace.disk, machine);
  const cut = expect(flattening).rejects.toMatchObject({ code: "request.aborted" });
  await begun.promise;
  const checkpointId = await workspace.checkpoint();
  await cut;
  await workspace.stop();
  await workspace.restore(checkpointId);
  await workspace.resumeCheckpoint(checkpointId);
  for (const key of ["0", `${DISK_LAYERS_FLATTEN - 1}`])
    expect(await workspace.guest.readDisk(key)).toBe(key);
});

test("a flattening of a standing disk gives way to its owner's return", async () => {
  await using at = await opened();
  const workspace = await create(at);
  for (let index = 0; index < DISK_LAYERS_FLATTEN; index++) {
    await workspace.guest.writeDisk(`${index}`, `${index}`);
    await (await workspace.capture(false))[Symbol.asyncDispose]();
  }
  await workspace.stop();
  const begun = Promise.withResolvers<void>();
  at.hypervisor.flattenDisk = (_disk, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      begun.resolve();
    });
  const flattening = at.source.flatten(workspace.request, workspace.disk, undefined);
  const cut = expect(flattening).rejects.toMatchObject({ code: "request.aborted" });
  await begun.promise;
  await workspace.boot();
  await cut;
  for (const key of ["0", `${DISK_LAYERS_FLATTEN - 1}`])
    expect(await workspace.guest.readDisk(key)).toBe(key);
});

test("a disk has a bounded number of layers", async () => {
  await using at = await opened();
  const workspace = await create(at);
  for (let count = 1; count < DISK_LAYERS_MAX; count++) {
    await (await workspace.capture(false))[Symbol.asyncDispose]();
  }
  await expect(workspace.capture(false)).rejects.toMatchObject({ code: "workspace.busy" });
  await workspace.guest.thaw();
  await workspace.guest.writeDisk("a", "1");
  await at.source.flatten(workspace.request, workspace.disk, workspace.machine);
  await (await workspace.capture(false))[Symbol.asyncDispose]();
  expect(await workspace.guest.readDisk("a")).toBe("1");
});

test("a view shows a checkpoint or the present of a standing workspace, changes nothing, and goes with its machine", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  const checkpointId = await workspace.checkpoint();
  await workspace.guest.writeDisk("a", "2");
  expect(await look(workspace, checkpointId, "a")).toBe("1");
  await workspace.stop();
  expect(await look(workspace, null, "a")).toBe("2");
  const { machine, linkToken } = await at.source.openView(workspace.owner, null);
  const guest = await GuestProbe.start(machine, { reason: "create", expectedToken: linkToken });
  await guest.writeView("a", "from the view");
  // The workspace may start while somebody looks.
  await workspace.boot();
  await workspace.guest.writeDisk("a", "3");
  expect(await guest.readView("a")).toBe("from the view");
  expect(await workspace.guest.readDisk("a")).toBe("3");
  guest.close();
  await machine.kill();
  await expect.poll(() => at.workspaces).toEqual([workspace.disk.diskId]);
});

test("no checkpoint is deleted of a disk whose record cannot be read: what it still needs is not known", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const checkpointId = await workspace.checkpoint();
  await workspace.stop();
  const layers = await layersOf(at, workspace);
  await writeFile(join(at.directory, "workspaces", workspace.disk.diskId, "disk.json"), "{ torn");
  await expect(at.source.deleteCheckpoint(workspace.owner, checkpointId)).rejects.toMatchObject({
    code: "workspace.record_damaged",
  });
  expect(await layersOf(at, workspace)).toEqual(layers);
});

test("the present is looked at as it lies where a disk takes no layer more, and what is looked at can be started after it", async () => {
  await using at = await opened();
  const workspace = await create(at);
  const before = async () => (await layersOf(at, workspace)).sort();
  for (let layers = 1; layers < DISK_LAYERS_MAX; layers++) {
    await workspace.guest.writeDisk("a", `${layers}`);
    await (await workspace.capture(false))[Symbol.asyncDispose]();
  }
  await workspace.guest.writeDisk("a", "now");
  await workspace.stop();
  const layers = await before();
  expect(layers).toHaveLength(DISK_LAYERS_MAX);
  expect(await look(workspace, null, "a")).toBe("now");
  expect(await before()).toEqual(layers);
  await workspace.boot();
  await workspace.guest.writeDisk("a", "later");
  expect(await workspace.guest.readDisk("a")).toBe("later");
});

test("an archived disk has no snapshot and one layer, and comes back whole", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  await (await workspace.capture())[Symbol.asyncDispose]();
  const snapshot = await workspace.pause();
  workspace.disk = await at.source.archive(workspace.request, workspace.disk);
  expect(await layersOf(at, workspace)).toHaveLength(1);
  expect(await readdir(join(at.directory, "workspaces", workspace.disk.diskId, "snapshots"))).toEqual([]);
  await expect(workspace.resume(snapshot)).rejects.toMatchObject({ code: "snapshot.invalid" });
  workspace.disk = await at.source.unarchive(workspace.request, workspace.disk);
  await workspace.boot();
  expect(await workspace.guest.readDisk("a")).toBe("1");
});

test("a machine that was booted has its memory captured and forked as well", async () => {
  await using at = await opened();
  const workspace = await create(at);
  await workspace.guest.writeDisk("a", "1");
  await workspace.stop();
  await workspace.boot();
  const count = await workspace.guest.count();
  const checkpointId = await workspace.checkpoint();
  await using point = await at.source.openCheckpoint(workspace.owner, checkpointId);
  const created = await at.source.createFrom(newRequest(), point);
  expect([created.startsBy, created.linkToken]).toEqual(["restore", workspace.linkToken]);
  const fork = await LiveWorkspace.begin(at.source, newRequest(), created);
  expect([await fork.guest.count(), await fork.guest.readDisk("a")]).toEqual([count + 1, "1"]);
});

test("a workspace that an older hostd paused is found, resumed, and goes on in layers", async () => {
  await using older = await opened();
  const workspace = await create(older);
  const count = await workspace.guest.count();
  const snapshot = await workspace.pause();
  // Its disk as that hostd kept it: one file, its key derived from the workspace's.
  const path = join(older.directory, "workspaces", workspace.disk.diskId);
  const { epoch, imageKey, templateId, layers } = await recordOf(older, workspace);
  await rename(join(path, "layers", `${layers[0].layerId}.qcow2`), join(path, "disk.qcow2"));
  await rm(join(path, "layers"), { recursive: true });
  await writeFile(join(path, "disk.json"), JSON.stringify({ format: 1, epoch, imageKey, templateId }));
  await using at = await TestSource.open({ previous: older });
  await at.source.sweep(new Set([workspace.disk.diskId]));
  const next = new LiveWorkspace(at.source, workspace.request, workspace.disk);
  next.linkToken = workspace.linkToken;
  expect(await at.source.findSnapshot(next.request.workspaceId, next.disk)).toEqual(snapshot);
  expect(await at.source.listCheckpoints(next.owner)).toMatchObject({
    checkpoints: [],
    currentParentId: null,
  });
  await next.resume(snapshot);
  expect(await next.guest.count()).toBe(count + 1);
  await next.guest.writeDisk("a", "1");
  const checkpointId = await next.checkpoint();
  await next.guest.writeDisk("a", "2");
  await next.stop();
  await next.restore(checkpointId);
  await next.resumeCheckpoint(checkpointId);
  expect(await next.guest.readDisk("a")).toBe("1");
  expect((await readdir(path)).sort()).toEqual(["checkpoints", "disk.json", "layers", "snapshots"]);
  expect(at.faults).toEqual([]);
});
