import { randomUUID } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceState } from "@atoll/protocol/workspace-status";
import { expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";
import { memoryOf } from "../testing/fake-stored-disk.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import type { Workspace } from "./workspace.ts";

/** As if hostd had been killed: the journal says `patch`, machines are as they are, and a new hostd starts. */
async function restart(
  host: FakeHost,
  workspace: Workspace,
  patch: Partial<WorkspaceRecord>,
  options: { isMachineGone?: boolean } = {},
) {
  await host.journal.writeWorkspace({ ...workspace.record, ...patch });
  host.life.kill();
  if (options.isMachineGone) host.source.loseMachines();
  const next = await FakeHost.start({ previous: host });
  return { next, workspace: next.registry.get(workspace.id) };
}

it("adopts a machine that went on running and connects to its agent", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  const { next, workspace } = await restart(host, before, {});
  await expect.poll(() => workspace.guest?.mux).toBeDefined();
  expect(workspace.status).toMatchObject({ state: "running", startedBy: "create" });
  expect(host.source.machine.guest.hellos.at(-1)?.reason).toBe("reconnect");
  expect(host.source.calls).toEqual(["create"]);
  expect(next.source.swept).toEqual(new Set([before.record.disk?.diskId]));
});

it("still notices the exit of an adopted machine", async () => {
  await using host = await FakeHost.start();
  const { next, workspace } = await restart(host, await host.create(), {});
  host.source.machine.exit({ reason: "crashed", detail: "" });
  await next.reached(workspace, "failed");
});

const GONE: Array<[WorkspaceState, WorkspaceState]> = [
  ["creating", "stopped"],
  ["running", "stopped"],
  ["pausing", "stopped"],
  ["resuming", "stopped"],
  ["stopping", "stopped"],
  ["stopped", "stopped"],
  ["paused", "paused"],
  ["archived", "archived"],
  ["failed", "failed"],
];
it.each(GONE)("with its machine gone, %s becomes %s", async (state, expected) => {
  await using host = await FakeHost.start();
  const before = await host.create();
  const pausedIn = state === "paused" ? "disk" : null;
  const { workspace } = await restart(host, before, { state, pausedIn }, { isMachineGone: true });
  expect(workspace.status.state).toBe(expected);
  if (state !== expected) expect(workspace.status.reason).toBe("host_restarted");
  expect(workspace.record.machine === null || state === expected).toBe(true);
});

it.each(["creating", "resuming", "stopping"] as const)(
  "ends a machine nobody waits for any more: %s",
  async (state) => {
    await using host = await FakeHost.start();
    const before = await host.create();
    const { workspace } = await restart(host, before, { state });
    expect(host.source.machine.isGone).toBe(true);
    expect(workspace.status.state).toBe("stopped");
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("boot");
  },
);

it("lets a machine go on that was interrupted while pausing", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  await host.source.machine.stop();
  host.source.machine.guest.isFrozen = true;
  const { workspace } = await restart(host, before, { state: "pausing" });
  await expect.poll(() => workspace.guest?.mux).toBeDefined();
  const { machine } = host.source;
  expect(machine.isRunning).toBe(true);
  expect(machine.guest.isFrozen).toBe(false);
});

it.each([true, false])(
  "finishes a pause whose snapshot was committed (machine alive: %s)",
  async (isAlive) => {
    await using host = await FakeHost.start();
    const before = await host.create();
    const { disk, guest } = host.source.machine;
    const ref = { snapshotId: "committed", sizeBytes: 1, createdAtMs: 0 };
    if (disk !== undefined) disk.snapshot = { ref, epoch: disk.epoch, memory: memoryOf(guest) };
    const { workspace } = await restart(host, before, { state: "pausing" }, { isMachineGone: !isAlive });
    expect(host.source.machine.isGone).toBe(true);
    expect(workspace.record).toMatchObject({ state: "paused", snapshot: ref });
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("resume");
  },
);

it("takes no memory that was sealed behind the back of a machine that already ran on", async () => {
  await using host = await FakeHost.start({ pauseGraceMs: 60_000 });
  const before = await host.create();
  const { disk, guest } = host.source.machine;
  const ref = { snapshotId: "late", sizeBytes: 1, createdAtMs: 0 };
  if (disk !== undefined) disk.snapshot = { ref, epoch: disk.epoch, memory: memoryOf(guest) };
  const handshake = { reason: "resume", expectedToken: before.record.linkToken } as const;
  const { workspace } = await restart(
    host,
    before,
    { state: "resuming", handshake },
    { isMachineGone: true },
  );
  expect(workspace.status).toMatchObject({ state: "stopped", lostMemory: { code: "vm.gone" } });
});

it.each(["running", "paused", "deleting", "failed"] as const)(
  "finishes an erasure begun in %s",
  async (state) => {
    await using host = await FakeHost.start();
    const before = await host.create();
    const tombstone = { requestedAtMs: 5, keyDestroyedAtMs: null, dataUnlinkedAtMs: null };
    const { workspace, next } = await restart(host, before, { state, tombstone });
    expect(workspace.status.state).toBe("erased");
    expect(host.source.machine.isGone).toBe(true);
    expect(await next.registry.erase(workspace.id)).toMatchObject([
      { requestedAtMs: 5, keyDestroyedAtMs: 1 },
    ]);
  },
);

it("says of a first create that got no disk that it failed", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  const patch = { state: "creating", disk: null, startedBy: null } as const;
  const { workspace, next } = await restart(host, before, patch, { isMachineGone: true });
  expect(workspace.status).toMatchObject({ state: "failed", errorCode: "vm.start_failed" });
  const again = await next.create({}, workspace.id);
  expect(again.status).toMatchObject({ state: "running", startedBy: "create" });
});

const recordPath = (host: FakeHost, id: string) => join(host.directory, "journal/workspaces", `${id}.json`);

/** A new hostd finds this in place of the record. */
async function damage(host: FakeHost, workspace: Workspace, text: string): Promise<FakeHost> {
  await writeFile(recordPath(host, workspace.id), text);
  return FakeHost.start({ previous: host });
}
const newer = (workspace: Workspace) => JSON.stringify({ ...workspace.record, format: 3, novelty: true });
const isDamaged = { code: "workspace.record_damaged" };

it("shows a workspace whose record cannot be read as that, and not as it once was", async () => {
  await using host = await FakeHost.start();
  const [before, other] = [await host.create(), await host.create()];
  const next = await damage(host, before, newer(before));
  const shown = next.registry.statuses();
  expect(shown.map(({ workspaceId }) => workspaceId).sort()).toEqual([before.id, other.id].sort());
  expect(shown.find(({ workspaceId }) => workspaceId === before.id)).toMatchObject({
    ...{ ownerId: before.record.ownerId, state: "failed", errorCode: "workspace.record_damaged" },
  });
  const torn = await damage(next, before, JSON.stringify(before.record).slice(0, -9));
  expect(torn.registry.statuses()).toHaveLength(2);
});

it.each(["torn", "of a newer format"])(
  "takes no workspace whose record is %s for one it never had: a create does not replace its key",
  async (kind) => {
    await using host = await FakeHost.start();
    const before = await host.create();
    host.source.machine.save("work", "v1");
    const text = kind === "torn" ? "{ torn" : newer(before);
    const next = await damage(host, before, text);
    expect(next.unreadable).toEqual([recordPath(host, before.id)]);
    expect(() => next.registry.get(before.id)).toThrow(expect.objectContaining(isDamaged));
    await expect(next.create({}, before.id)).rejects.toMatchObject(isDamaged);
    expect(await readFile(recordPath(host, before.id), "utf8")).toBe(text);
    expect(next.source.disks.get(before.record.disk?.diskId ?? "")?.read("work")).toBe("v1");
    expect(next.source.keys.has(before.id)).toBe(true);
  },
);

it("does not replace the key of a workspace whose record is gone, however often it is asked", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  await rm(recordPath(host, before.id));
  const next = await FakeHost.start({ previous: host });
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(next.create({}, before.id)).rejects.toMatchObject(isDamaged);
    expect(next.registry.find(before.id)).toBeUndefined();
  }
  const together = await Promise.allSettled([next.create({}, before.id), next.create({}, before.id)]);
  expect(together).toMatchObject([{ reason: isDamaged }, { reason: isDamaged }]);
  expect(next.source.keys.has(before.id)).toBe(true);
});

it("replaces a key that a create left which was cut short", async () => {
  await using host = await FakeHost.start();
  const id = randomUUID();
  host.life.killAt = (point) => point === "after source.create";
  const cut = host.create({}, id);
  cut.catch(() => {});
  await host.life.killed;
  const next = await FakeHost.start({ previous: host });
  expect(next.source.keys.has(id)).toBe(true);
  expect((await next.create({}, id)).status.state).toBe("running");
});

it("lets the machine of an unreadable record run on, and opens it again once the record is mended", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  const whole = await readFile(recordPath(host, before.id), "utf8");
  const damaged = await damage(host, before, newer(before));
  host.source.machine.save("work", "meanwhile");
  const next = await damage(damaged, before, whole);
  const workspace = next.registry.get(before.id);
  await expect.poll(() => workspace.guest?.mux).toBeDefined();
  expect(host.source.machine.read("work")).toBe("meanwhile");
});

it("sweeps what belongs to nobody although another record cannot be read", async () => {
  await using host = await FakeHost.start();
  const [damaged, forgotten, other] = [await host.create(), await host.create(), await host.create()];
  await rm(recordPath(host, forgotten.id));
  const next = await damage(host, damaged, newer(damaged));
  expect(next.registry.get(other.id).status.state).toBe("running");
  const diskIds = [damaged, other].map(({ record }) => record.disk?.diskId);
  expect([...next.source.disks.keys()]).toEqual(diskIds);
});

it("removes no disk while a record does not tell which one is its, nor ends its machine, but fills the pool", async () => {
  await using host = await FakeHost.start();
  const [damaged, forgotten] = [await host.create(), await host.create()];
  const { machine } = host.source;
  await rm(recordPath(host, forgotten.id));
  const whole = await readFile(recordPath(host, damaged.id), "utf8");
  const next = await damage(host, damaged, "{ torn");
  expect(next.source.disks.size).toBe(2);
  expect(host.source.liveMachines).toHaveLength(2);
  expect(next.source.swept).toBeDefined();
  const mended = await damage(next, damaged, whole);
  await expect.poll(() => mended.registry.get(damaged.id).guest?.mux).toBeDefined();
  expect(machine.isGone).toBe(true);
  expect(host.source.liveMachines).toHaveLength(1);
});

it("destroys the key of a workspace it does not know, and attests that", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  await rm(recordPath(host, before.id));
  const next = await FakeHost.start({ previous: host });
  const erasures = await next.registry.erase(before.id);
  expect(erasures).toMatchObject([{ workspaceId: before.id, keyDestroyedAtMs: 1 }]);
  expect(next.source.keys.has(before.id)).toBe(false);
  expect(await next.registry.erase(before.id)).toEqual(erasures);
  expect(await next.registry.erase(randomUUID())).toEqual([]);
});

it("attests no erasure while an unreadable record of the workspace is there, and finishes it once that is mended", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  const whole = await readFile(recordPath(host, before.id), "utf8");
  const next = await damage(host, before, newer(before));
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(next.registry.erase(before.id)).rejects.toMatchObject(isDamaged);
  }
  expect(next.source.keys.has(before.id)).toBe(false);
  expect(host.source.liveMachines).toEqual([]);
  await expect(next.registry.eraseOwner(before.record.ownerId)).rejects.toMatchObject(isDamaged);
  const mended = await damage(next, before, whole);
  expect(mended.registry.get(before.id).status.state).toBe("erased");
  expect(mended.source.disks.size).toBe(0);
  expect(await mended.registry.erase(before.id)).toMatchObject([{ workspaceId: before.id }]);
});

/** Of a restore: everything is done and noted. */
const RUNS_AGAIN = "after journal running";

/** Saved files "v1" in the checkpoint and "v2" now, and a restore under way that is killed at `point`. */
async function killedRestore(host: FakeHost, point: string, options: { isRepeated: boolean }) {
  const workspace = await host.create();
  const { machine } = host.source;
  const wish = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID() };
  machine.save("work", "v1");
  await workspace.checkpoint(wish.checkpointId, { name: "v1", withMemory: true });
  machine.save("work", "v2");
  // As an earlier try leaves it.
  if (options.isRepeated) {
    await workspace.checkpoint(wish.safetyCheckpointId, { name: "before", withMemory: true });
  }
  host.life.killAt = (at) =>
    at === point && (point !== RUNS_AGAIN || host.life.points.includes("after source.restore"));
  workspace.restore(wish).catch(() => {});
  await host.life.killed;
  return { id: workspace.id, wish };
}

it("gives up a restore that cannot be finished, and never undoes what is done afterwards", async () => {
  await using host = await FakeHost.start();
  const { id } = await killedRestore(host, "after journal stopping", { isRepeated: false });
  host.source.before = (operation) => {
    if (operation === "restore") throw new AtollError("key.unavailable");
  };
  const second = await FakeHost.start({ previous: host });
  const workspace = second.registry.get(id);
  await expect.poll(() => workspace.record.operation).toBeNull();
  expect(workspace.status).toMatchObject({ state: "stopped", errorCode: "key.unavailable" });
  expect(workspace.status.lostMemory).toBeDefined();
  host.source.before = () => {};
  await workspace.start("requested");
  host.source.machine.save("work", "v3");
  const third = await FakeHost.start({ previous: second });
  await expect.poll(() => third.registry.get(id).guest?.mux).toBeDefined();
  expect(host.source.machine.read("work")).toBe("v3");
});

it("drops what an unfinished restore noted as soon as the workspace starts", async () => {
  await using host = await FakeHost.start();
  const { id } = await killedRestore(host, "after journal stopping", { isRepeated: false });
  host.source.before = (operation) => {
    if (operation === "restore") throw new AtollError("key.unavailable");
    // The start gets no further than its first note.
    if (operation === "boot") throw new AtollError("host.full");
  };
  const second = await FakeHost.start({ previous: host });
  // Not even giving it up could be noted.
  second.beforeWrite = (record) => {
    if (record.errorCode === "key.unavailable") throw new Error("EIO");
  };
  const workspace = second.registry.get(id);
  await expect.poll(() => host.source.calls.includes("restore")).toBe(true);
  await expect(workspace.start("requested")).rejects.toMatchObject({ code: "host.full" });
  expect(workspace.record).toMatchObject({ state: "stopped", operation: null });
});

it.each([true, false])(
  "lets a machine run on whose restore was done up to the last note (repeated: %s)",
  async (isRepeated) => {
    await using host = await FakeHost.start();
    const { id, wish } = await killedRestore(host, RUNS_AGAIN, { isRepeated });
    host.source.machine.save("work", "v3");
    const next = await FakeHost.start({ previous: host });
    const workspace = next.registry.get(id);
    await expect.poll(() => workspace.guest?.mux).toBeDefined();
    expect(host.source.machine.read("work")).toBe("v3");
    expect(workspace.status.lostMemory).toBeUndefined();
    await workspace.restore(wish);
    expect(host.source.machine.read("work")).toBe("v3");
  },
);

it("does not put back twice what a repeated restore already put back", async () => {
  await using host = await FakeHost.start();
  const { id } = await killedRestore(host, "after journal stopped", { isRepeated: true });
  const next = await FakeHost.start({ previous: host });
  await expect.poll(() => next.registry.get(id).status.state).toBe("running");
  expect(host.source.calls.filter((call) => call === "restore")).toHaveLength(1);
  expect(host.source.machine.read("work")).toBe("v1");
});

it("keeps records private and free of temporary files", async () => {
  await using host = await FakeHost.start();
  await host.create();
  const names = await readdir(join(host.directory, "journal/workspaces"));
  expect(names.every((name) => name.endsWith(".json"))).toBe(true);
});

it("does not believe a begin that the disk did not take", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create();
  host.beforeWrite = (record) => {
    if (record.state === "pausing") throw new Error("EIO");
  };
  await expect(workspace.pause("requested")).rejects.toMatchObject({ code: "internal" });
  expect(workspace.status.state).toBe("running");
  expect(host.source.machine.isRunning).toBe(true);
});
