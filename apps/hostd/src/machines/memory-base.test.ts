import { rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test, vi } from "vitest";
import { baseOf } from "../hypervisor/hypervisor.ts";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { templateForMany } from "../testing/template-for-many.ts";
import { newRequest, TestSource } from "../testing/test-source.ts";
import type { MachineRequest, PreparedFork } from "./machine-source.ts";
import { KEPT_FOR_MS } from "./unpacked-memories.ts";

const REFILL_MS = 5000;

/** A workspace that began from a made template, which is gone since; its guest has counted `count` times. */
async function forked(options: Parameters<typeof TestSource.open>[0] = {}) {
  const at = await TestSource.open(options);
  const { workspace: template, checkpointId, begin } = await templateForMany(at);
  const forks = [await begin(), await begin()] as const;
  const count = await forks[0].guest.count();
  await forks[1].guest.count();
  await template.stop();
  await template.destroy();
  const baseOf = ({ disk }: LiveWorkspace) => join(at.directory, "workspaces", disk.diskId, "memory-base");
  return {
    ...{ at, forks, fork: forks[0], count, baseId: checkpointId, baseOf },
    isKept: (workspace: LiveWorkspace) =>
      stat(baseOf(workspace)).then(
        () => true,
        () => false,
      ),
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  };
}

const standsOn = ({ machine }: LiveWorkspace) => machine?.record.baseId;

test("what a machine differs from its template's memory is all that is sealed of it, and comes back over that memory", async () => {
  await using made = await forked();
  const { fork, at } = made;
  expect(standsOn(fork)).toBe(made.baseId);
  const unpack = vi.spyOn(at.hypervisor, "unpack");
  for (const round of [1, 2]) {
    const snapshot = await fork.pause();
    const { base, ...start } = await startOf(at, () => fork.resume(snapshot));
    expect([start.kind, base?.baseId]).toEqual(["saved", made.baseId]);
    expect(await fork.guest.count()).toBe(made.count + round);
  }
  // Its own, as the template is gone; and the other's is the same.
  const [, other] = made.forks;
  await other.resume(await other.pause());
  expect(await other.guest.count()).toBe(made.count + 1);
  expect(unpack).toHaveBeenCalledOnce();
});

test("after hostd's end it comes back over its own name of that memory", async () => {
  await using made = await forked();
  const { fork, at } = made;
  const snapshot = await fork.pause();
  await at.hypervisor.letGo();
  const next = await TestSource.open({ previous: at });
  const again = new LiveWorkspace(next.source, fork.request, fork.disk);
  again.linkToken = fork.linkToken;
  await again.resume(snapshot);
  expect([standsOn(again), await again.guest.count()]).toEqual([made.baseId, made.count + 1]);
  expect((await stat(made.baseOf(fork))).nlink).toBe(2);
});

test("one without room to share reads both, and is whole from then on", async () => {
  await using made = await forked();
  const { fork, at } = made;
  const snapshot = await fork.pause();
  vi.spyOn(at.hypervisor, "unpack").mockRejectedValue(new AtollError("host.full"));
  await fork.resume(snapshot);
  expect([standsOn(fork), await fork.guest.count()]).toEqual([null, made.count + 1]);
  expect(await made.isKept(fork)).toBe(false);
  await fork.resume(await fork.pause());
  expect(await fork.guest.count()).toBe(made.count + 2);
  expect(await made.isKept(made.forks[1])).toBe(true);
});

test("damaged memory of the template is an invalid snapshot, however it is read", async () => {
  await using made = await forked();
  const { fork, at } = made;
  const snapshot = await fork.pause();
  const { size } = await stat(made.baseOf(fork));
  await truncate(made.baseOf(fork), size - 1);
  await expect(fork.resume(snapshot)).rejects.toMatchObject({ code: "snapshot.invalid" });
  expect(at.hypervisor.unpacked.size).toBe(0);
  // Its own, as nothing else of it was damaged.
  await fork.boot();
  expect(await fork.guest.count()).toBe(1);
});

test.each(["boot", "stop", "restore", "archive"] as const)(
  "nothing stands on the template's memory after a %s: it goes, and the other workspace keeps it",
  async (deed) => {
    await using made = await forked();
    const { fork, at } = made;
    const { request } = fork;
    const checkpointId = await fork.checkpoint();
    await fork.pause();
    expect(await made.isKept(fork)).toBe(true);
    if (deed === "boot") await fork.boot();
    if (deed === "stop") await at.source.dropSnapshots(fork.disk);
    if (deed === "restore") await fork.restore(checkpointId);
    if (deed === "archive") fork.disk = await at.source.archive(request, fork.disk);
    expect(await made.isKept(fork)).toBe(false);
    expect((await stat(made.baseOf(made.forks[1]))).nlink).toBe(1);
    if (deed === "archive") fork.disk = await at.source.unarchive(request, fork.disk);
    if (deed === "restore") await fork.resumeCheckpoint(checkpointId);
    else if (deed !== "boot") await fork.boot();
    await fork.resume(await fork.pause());
    expect(standsOn(fork)).toBeNull();
  },
);

test("a checkpoint of one that sleeps stands for itself: others begin at it when its workspace is gone", async () => {
  await using made = await forked();
  const { fork, at } = made;
  await fork.pause();
  const checkpointId = await fork.checkpoint();
  await using point = await at.source.openCheckpoint(fork.owner, checkpointId);
  await at.source.dropSnapshots(fork.disk);
  const next = await fork.fork(newRequest(), point);
  expect(await next.guest.count()).toBe(made.count + 1);
});

test.each(["running, begun before", "running", "asleep"] as const)(
  "a fork of one that is %s shares the template's memory too, and keeps it when its origin goes",
  async (how) => {
    await using made = await forked();
    const { fork: origin, at } = made;
    const request = newRequest();
    const unpack = vi.spyOn(at.hypervisor, "unpack");
    const launch = vi.spyOn(at.hypervisor, "launch");
    await using prepared = how === "running, begun before" ? origin.prepareFork(request) : undefined;
    if (how === "asleep") await origin.pause();
    const next = await forkNow(origin, request, prepared);
    expect(launch.mock.calls.map(([{ start }]) => [start.kind, baseOf(start)?.baseId])).toEqual([
      ["saved", made.baseId],
    ]);
    expect(unpack).toHaveBeenCalledOnce();
    expect([standsOn(next), await next.guest.count()]).toEqual([made.baseId, made.count + 1]);
    await origin.stop();
    await origin.destroy();
    await next.resume(await next.pause());
    expect([standsOn(next), await next.guest.count()]).toEqual([made.baseId, made.count + 2]);
    expect(at.faults).toEqual([]);
  },
);

test("from the first fork of one that runs on a process waits over that memory, until nobody keeps it", async () => {
  await using made = await forked({ poolSize: 1 });
  const { fork: origin, at } = made;
  const waiting = async () => {
    at.clock.advance(REFILL_MS);
    await at.source.settled();
    return at.source.readyForkCount;
  };
  const launch = vi.spyOn(at.hypervisor, "launch");
  for (const round of [1, 2]) {
    await waiting();
    launch.mockClear();
    const request = newRequest();
    await using prepared = origin.prepareFork(request);
    const next = await forkNow(origin, request, prepared);
    expect(launch).toHaveBeenCalledTimes(2 - round);
    expect([standsOn(next), await next.guest.count()]).toEqual([made.baseId, made.count + 1]);
  }
  expect(await waiting()).toBe(1);
  const machineCount = at.host.machines.size;
  at.clock.advance(KEPT_FOR_MS);
  await expect.poll(() => at.hypervisor.unpacked.size).toBe(0);
  expect([await waiting(), at.host.machines.size]).toEqual([0, machineCount - 1]);
  expect(at.faults).toEqual([]);
});

test("without room to share, or without the template's memory, a fork of one that runs is whole", async () => {
  await using made = await forked();
  const { fork: origin, at } = made;
  at.clock.advance(KEPT_FOR_MS);
  await expect.poll(() => at.hypervisor.unpacked.size).toBe(0);
  vi.spyOn(at.hypervisor, "unpack").mockRejectedValue(new AtollError("host.full"));
  const request = newRequest();
  await using prepared = origin.prepareFork(request);
  const next = await forkNow(origin, request, prepared);
  expect([standsOn(next), await next.guest.count()]).toEqual([null, made.count + 1]);
  await rm(made.baseOf(origin));
  at.faults.length = 0;
  const last = await forkNow(origin, newRequest());
  expect(at.faults).toMatchObject([{ code: "snapshot.invalid" }]);
  expect([standsOn(last), await last.guest.count()]).toEqual([null, made.count + 1]);
  expect(await made.isKept(last)).toBe(false);
});

test("its space is shared by all who have it", async () => {
  await using made = await forked();
  const { fork, at } = made;
  const bytes = async () => (await at.source.listCheckpoints(fork.owner)).usage.snapshotBytes;
  const { blocks } = await stat(made.baseOf(fork));
  expect(blocks).toBeGreaterThan(0);
  expect(await bytes()).toBe((blocks * 512) / 2);
  await made.forks[1].stop();
  await made.forks[1].destroy();
  expect(await bytes()).toBe(blocks * 512);
});

async function forkNow(origin: LiveWorkspace, request: MachineRequest, prepared?: PreparedFork) {
  await using point = await origin.capture();
  // Awaited here: the point is disposed of when this returns.
  return await origin.fork(request, point, prepared);
}

/** With which start its machine was launched. */
async function startOf(at: TestSource, run: () => Promise<void>) {
  const launch = vi.spyOn(at.hypervisor, "launch");
  await run();
  const start = launch.mock.lastCall?.[0].start;
  launch.mockRestore();
  if (start?.kind !== "saved") throw new Error("it did not start from saved state");
  return start;
}
