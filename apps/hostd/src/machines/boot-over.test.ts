import { join } from "node:path";
import { expect, test } from "vitest";
import { readManifest } from "../snapshots/snapshot-store.ts";
import { newRequest, TestSource } from "../testing/test-source.ts";

/** Its machine is gone, as after a stop. */
async function stopped(at: TestSource) {
  await at.source.sweep(new Set());
  const request = newRequest();
  const { machine, disk } = await at.source.create(request);
  await machine.kill();
  return { request, disk };
}

test("a workspace that booted sleeps as a difference to its disk's template, and wakes over that", async () => {
  await using at = await TestSource.open();
  const { request, disk } = await stopped(at);
  const { templateId } = disk;
  const booted = await at.source.boot(request, disk);
  expect(booted.machine.record).toMatchObject({ templateId, isBooted: true });
  await booted.machine.load();
  const snapshot = await at.source.seal(request, booted.disk, booted.machine);
  const snapshotsPath = join(at.directory, "workspaces", disk.diskId, "snapshots");
  expect(await readManifest(snapshotsPath, snapshot.snapshotId)).toMatchObject({ templateId });
  const resumed = await at.source.resume(request, booted.disk, snapshot);
  expect(resumed.machine.record).toMatchObject({ templateId, isBooted: false });
});

test("with more memory than its template has, or for many to begin from, it stands for itself", async () => {
  await using at = await TestSource.open();
  const { request, disk } = await stopped(at);
  const larger = { ...request, size: { ...request.size, memoryMb: request.size.memoryMb * 2 } };
  const grown = await at.source.boot(larger, disk);
  expect(grown.machine.record.templateId).toBeNull();
  await grown.machine.load();
  const snapshot = await at.source.seal(larger, grown.disk, grown.machine);
  const resumed = await at.source.resume(larger, grown.disk, snapshot);
  expect(resumed.machine.record.templateId).toBeNull();
  await resumed.machine.kill();
  const forMany = await at.source.boot(request, resumed.disk, { isForMany: true });
  expect(forMany.machine.record.templateId).toBeNull();
});
