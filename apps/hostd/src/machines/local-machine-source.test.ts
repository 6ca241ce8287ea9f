import { randomBytes, randomUUID } from "node:crypto";
import { access, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import { GuestProbe } from "../testing/guest-probe.ts";
import { newRequest, SIZE, TEMPLATE_TOKEN, TestSource } from "../testing/test-source.ts";
import type { WorkspaceDisk } from "./machine-source.ts";

/** Created, counted to 2, and paused. */
async function paused(at: TestSource) {
  const request = newRequest();
  const linkToken = randomBytes(32).toString("hex");
  const created = await at.source.create(request);
  const guest = await GuestProbe.start(created.machine, {
    reason: "create",
    expectedToken: created.linkToken,
    linkToken,
  });
  expect(await guest.count()).toBe(2);
  guest.close();
  await created.machine.stop();
  const snapshot = await at.source.seal(request, created.disk, created.machine);
  return { request, linkToken, disk: created.disk, snapshot };
}

test("a workspace is created from the template, paused without a process, and resumed where it was", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const { request, linkToken, disk, snapshot } = await paused(at);
  expect(at.host.machines.size).toBe(0);
  expect(await at.source.findSnapshot(request.workspaceId, disk)).toEqual(snapshot);
  expect(await at.source.findSnapshot(randomUUID(), disk)).toBeUndefined();
  const resumed = await at.source.resume(request, disk, snapshot);
  expect(resumed.disk).toEqual({ ...disk, epoch: disk.epoch + 1 });
  const guest = await GuestProbe.start(resumed.machine, {
    reason: "resume",
    expectedToken: linkToken,
    linkToken,
  });
  expect(await guest.count()).toBe(3);
  guest.close();
  expect(at.faults).toEqual([]);
});

test("creates at the same time share one bake and nothing else", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const requests = [newRequest(), newRequest(), newRequest()];
  const created = await Promise.all(requests.map((request) => at.source.create(request)));
  expect(at.bakeCount).toBe(1);
  expect(new Set(created.map(({ disk }) => disk.diskId)).size).toBe(3);
  expect(new Set(created.map(({ keyCommitment }) => keyCommitment)).size).toBe(3);
  expect(new Set(created.map(({ machine }) => machine.record.pid)).size).toBe(3);
  expect(at.source.templateState).toBe("ready");
});

test("a bake that fails leaves nothing and is tried again", async () => {
  await using at = await TestSource.open();
  const { prepareGuest } = at;
  at.prepareGuest = async () => {
    throw new AtollError("request.timeout", "no agent");
  };
  await at.source.sweep(new Set());
  await expect(at.source.create(newRequest())).rejects.toMatchObject({ code: "template.failed" });
  expect(await readdir(join(at.directory, "templates"))).toEqual([]);
  expect(at.host.machines.size).toBe(0);
  at.prepareGuest = prepareGuest;
  await at.source.create(newRequest());
});

test("the pool fills ahead, is claimed without making, and refills when the start is over", async () => {
  await using at = await TestSource.open({ poolSize: 2 });
  await at.source.sweep(new Set());
  await expect.poll(() => at.source.readyCount).toBe(2);
  const ready = await at.workspaces;
  const { disk } = await at.source.create(newRequest());
  expect(ready).toContain(disk.diskId);
  expect(at.source.readyCount).toBe(1);
  at.clock.advance(60_000);
  await expect.poll(() => at.source.readyCount).toBe(2);
  expect(await at.workspaces).toHaveLength(3);
});

test("a waiting machine was rehearsed, stands still, and is each its own", async () => {
  await using at = await TestSource.open({ poolSize: 2 });
  await at.source.sweep(new Set());
  await expect.poll(() => at.source.readyCount).toBe(2);
  const created = [await at.source.create(newRequest()), await at.source.create(newRequest())] as const;
  const counts = created.map(async ({ machine, linkToken }) => {
    const guest = await GuestProbe.start(machine, { reason: "create", expectedToken: linkToken });
    const count = await guest.count();
    guest.close();
    return count;
  });
  expect(await Promise.all(counts)).toEqual([3, 3]);
  expect(created[0].linkToken).not.toBe(created[1].linkToken);
});

test("a rehearsal that fails leaves nothing, and creates go on without", async () => {
  await using at = await TestSource.open({ poolSize: 1 });
  at.rehearseGuest = async () => {
    throw new AtollError("request.timeout", "no answer");
  };
  await at.source.sweep(new Set());
  await at.faulted;
  expect(at.faults).toHaveLength(1);
  expect([at.host.machines.size, await at.workspaces, at.source.readyCount]).toEqual([0, [], 0]);
  const { linkToken } = await at.source.create(newRequest());
  expect(linkToken).toBe(TEMPLATE_TOKEN);
});

test("a waiting machine that dies is dropped with its disk", async () => {
  await using at = await TestSource.open({ poolSize: 1 });
  await at.source.sweep(new Set());
  await expect.poll(() => at.source.readyCount).toBe(1);
  for (const machine of at.host.machines.values()) machine.end({ reason: "crashed", detail: "" });
  await expect.poll(() => at.workspaces).toEqual([]);
  expect(at.source.readyCount).toBe(0);
  await at.source.create(newRequest());
});

test("disposing ends the pool's machines and removes their disks, not those of workspaces", async () => {
  const at = await TestSource.open({ poolSize: 2 });
  await at.source.sweep(new Set());
  const { disk, machine } = await at.source.create(newRequest());
  at.clock.advance(60_000);
  await expect.poll(() => at.source.readyCount).toBe(2);
  await at.source[Symbol.asyncDispose]();
  expect(await at.workspaces).toEqual([disk.diskId]);
  expect([...at.host.machines.keys()]).toEqual([machine.record.pid]);
  await rm(at.directory, { recursive: true });
});

test("disposing cuts a bake off and leaves nothing of it", async () => {
  const at = await TestSource.open({ poolSize: 1 });
  const baking = Promise.withResolvers<void>();
  at.prepareGuest = (_machine, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      baking.resolve();
    });
  await at.source.sweep(new Set());
  await baking.promise;
  await at.source[Symbol.asyncDispose]();
  expect([at.host.machines.size, await readdir(join(at.directory, "templates")), at.faults]).toEqual([
    0,
    [],
    [],
  ]);
  await rm(at.directory, { recursive: true });
});

test("after a kill -9 the next life keeps what the journal names and ends the rest", async () => {
  await using killed = await TestSource.open({ poolSize: 2 });
  await killed.source.sweep(new Set());
  await expect.poll(() => killed.source.readyCount).toBe(2);
  const { disk, machine } = await killed.source.create(newRequest());
  // A killed process writes nothing more; this one only stands for it.
  await killed.source.settled();
  await mkdir(join(killed.directory, "templates", ".baking-half"));
  await using next = await TestSource.open({ previous: killed });
  await next.hypervisor.adopt(machine.record);
  await next.source.sweep(new Set([disk.diskId]));
  expect(await next.workspaces).toEqual([disk.diskId]);
  expect([...next.host.machines.keys()]).toEqual([machine.record.pid]);
  expect(await readdir(join(next.directory, "templates"))).toEqual([disk.templateId]);
  expect(next.bakeCount).toBe(0);
});

test("disks that only an unreadable record names stay, all of them while one of those is not found", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const [stray, forgotten] = [await at.source.create(newRequest()), await at.source.create(newRequest())];
  const both = [stray.disk.diskId, forgotten.disk.diskId].sort();
  await at.source.sweep(new Set(), { diskIds: new Set(), isComplete: false });
  expect((await at.workspaces).sort()).toEqual(both);
  const misread = new Set([stray.disk.diskId, randomUUID()]);
  await at.source.sweep(new Set(), { diskIds: misread, isComplete: true });
  expect((await at.workspaces).sort()).toEqual(both);
  await at.source.sweep(new Set(), { diskIds: new Set([stray.disk.diskId]), isComplete: true });
  expect(await at.workspaces).toEqual([stray.disk.diskId]);
});

test("a machine runs on whose record cannot be read, also when that does not even tell its disk", async () => {
  await using killed = await TestSource.open();
  await killed.source.sweep(new Set());
  const [stray, other] = [await killed.source.create(newRequest()), await killed.source.create(newRequest())];
  await killed.source.settled();
  await using next = await TestSource.open({ previous: killed });
  const pids = () => [...next.host.machines.keys()].sort();
  const both = [stray.machine.record.pid, other.machine.record.pid].sort();
  await next.source.sweep(new Set(), { diskIds: new Set(), isComplete: false });
  expect(pids()).toEqual(both);
  await next.source.sweep(new Set(), { diskIds: new Set([stray.disk.diskId]), isComplete: true });
  expect(pids()).toEqual([stray.machine.record.pid]);
  await next.source.sweep(new Set());
  expect(pids()).toEqual([]);
});

test("templates of another hypervisor or size stay while a disk stands on them, and go with the last", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  await at.source.settled();
  const large = { ...SIZE, memoryMb: 1024 };
  const old = await at.source.create(newRequest());
  const odd = await at.source.create({ ...newRequest(), size: large });
  const templates = () => readdir(join(at.directory, "templates"));
  expect(await templates()).toHaveLength(2);
  const both = new Set([old.disk.diskId, odd.disk.diskId]);
  const next = async (fingerprint: string, disks: Set<string>, isComplete = true) => {
    const life = await TestSource.open({ previous: at, fingerprint });
    await life.source.sweep(disks, { diskIds: new Set(), isComplete });
    await life.source.settled();
    await life.source[Symbol.asyncDispose]();
    expect(life.faults).toEqual([]);
  };
  await next("fake 1", both);
  expect((await templates()).sort()).toEqual([old.disk.templateId, odd.disk.templateId].sort());
  await next("fake 2", new Set([old.disk.diskId]));
  const [newId] = (await templates()).filter((id) => id !== old.disk.templateId);
  expect((await templates()).sort()).toEqual([old.disk.templateId, newId].sort());
  await next("fake 2", new Set(), false);
  expect(await templates()).toHaveLength(2);
  await next("fake 2", new Set());
  expect(await templates()).toEqual([newId]);
});

test("what an older monitor saves that outlived its hostd is not given to the new one", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const request = newRequest();
  const { machine, disk } = await at.source.create(request);
  await using updated = await TestSource.open({ previous: at, fingerprint: "fake 2" });
  const adopted = await updated.hypervisor.adopt(machine.record);
  if (adopted === undefined) throw new Error("the machine is gone");
  const snapshot = await updated.source.seal(request, disk, adopted);
  await expect(updated.source.resume(request, disk, snapshot)).rejects.toMatchObject({
    code: "snapshot.incompatible",
  });
});

test("a snapshot is used once: after resume and after boot it is refused and gone", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const first = await paused(at);
  const resumed = await at.source.resume(first.request, first.disk, first.snapshot);
  await resumed.machine.kill();
  for (const disk of [first.disk, resumed.disk]) {
    await expect(at.source.resume(first.request, disk, first.snapshot)).rejects.toMatchObject({
      code: "snapshot.invalid",
    });
    expect(await at.source.findSnapshot(first.request.workspaceId, disk)).toBeUndefined();
  }
  const second = await paused(at);
  const booted = await at.source.boot(second.request, second.disk);
  expect(booted.disk.epoch).toBe(second.disk.epoch + 1);
  await booted.machine.kill();
  await expect(at.source.resume(second.request, booted.disk, second.snapshot)).rejects.toMatchObject({
    code: "snapshot.invalid",
  });
});

test("damage is invalid, another monitor or size is incompatible, and the disk boots all the same", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const { request, disk, snapshot } = await paused(at);
  const other = { ...request, size: { ...SIZE, memoryMb: 1024 } };
  await expect(at.source.resume(other, disk, snapshot)).rejects.toMatchObject({
    code: "snapshot.incompatible",
  });
  await using updated = await TestSource.open({ previous: at, fingerprint: "fake 2" });
  await expect(updated.source.resume(request, disk, snapshot)).rejects.toMatchObject({
    code: "snapshot.incompatible",
  });
  const sealed = join(at.directory, "workspaces", disk.diskId, "snapshots", `${snapshot.snapshotId}.sealed`);
  await truncate(sealed, snapshot.sizeBytes - 1);
  await expect(at.source.resume(request, disk, snapshot)).rejects.toMatchObject({ code: "snapshot.invalid" });
  const bytes = await readFile(sealed);
  await writeFile(sealed, Buffer.concat([bytes, Buffer.from([0])]));
  await expect(at.source.resume(request, disk, snapshot)).rejects.toMatchObject({ code: "snapshot.invalid" });
  expect(at.host.machines.size).toBe(0);
  const booted = await at.source.boot(request, disk);
  expect(booted.disk.epoch).toBe(disk.epoch + 1);
});

test("a pause that cannot be written leaves the machine stopped, whole, and no file", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const request = newRequest();
  const created = await at.source.create(request);
  const guest = await GuestProbe.start(created.machine, {
    reason: "create",
    expectedToken: created.linkToken,
  });
  const snapshots = join(at.directory, "workspaces", created.disk.diskId, "snapshots");
  // A file where the directory has to be.
  await writeFile(snapshots, "");
  await created.machine.stop();
  await expect(at.source.seal(request, created.disk, created.machine)).rejects.toThrow();
  await created.machine.start();
  expect(await guest.count()).toBe(2);
  guest.close();
});

test("destroying takes the key first, then the data, and answers the same times again", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const { request, disk, snapshot } = await paused(at);
  const { workspaceId, ownerId } = request;
  const times = await at.source.destroy(workspaceId, ownerId, disk);
  at.clock.advance(1000);
  expect(await at.source.destroy(workspaceId, ownerId, disk)).toEqual(times);
  expect(await at.workspaces).toEqual([]);
  await expect(at.keys.unwrapWorkspaceKey(request)).rejects.toMatchObject({ code: "key.not_found" });
  await expect(at.source.resume(request, disk, snapshot)).rejects.toBeInstanceOf(AtollError);
  await expect(at.source.create(request)).rejects.toMatchObject({ code: "key.not_found" });
  // The refused create gave its machine and disk back.
  expect([at.host.machines.size, await at.workspaces]).toEqual([0, []]);
});

test("a create that is repeated after a crash gets a new disk and key", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  const request = newRequest();
  const first = await at.source.create(request);
  await expect(at.source.create(request)).rejects.toMatchObject({ code: "key.exists" });
  const again = await at.source.create({ ...request, mayReplaceKey: true });
  expect(again.disk.diskId).not.toBe(first.disk.diskId);
  expect(again.keyCommitment).not.toBe(first.keyCommitment);
  await again.machine.kill();
  const booted = await at.source.boot(request, again.disk);
  await booted.machine.kill();
});

test("unknown images, foreign ids and lost templates are typed errors", async () => {
  await using at = await TestSource.open();
  await at.source.sweep(new Set());
  await expect(at.source.create({ ...newRequest(), image: "other" })).rejects.toMatchObject({
    code: "image.unknown",
  });
  const { request, disk, snapshot } = await paused(at);
  const lost: WorkspaceDisk = { ...disk, templateId: "../../keys" };
  await expect(at.source.boot(request, lost)).rejects.toMatchObject({ code: "template.missing" });
  await expect(at.source.boot(request, { ...disk, diskId: "../../keys" })).rejects.toThrow();
  const foreign = { ...request, ownerId: randomUUID() };
  await expect(at.source.boot(foreign, disk)).rejects.toMatchObject({ code: "key.not_found" });
  await expect(
    at.source.resume({ ...request, workspaceId: randomUUID() }, disk, snapshot),
  ).rejects.toMatchObject({
    code: "snapshot.invalid",
  });
  await access(join(at.directory, "workspaces", disk.diskId, "disk.json"));
});
