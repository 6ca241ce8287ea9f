import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
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

it("leaves an unreadable record alone and sweeps nothing", async () => {
  await using host = await FakeHost.start();
  const before = await host.create();
  const path = join(host.directory, "journal/workspaces", `${before.id}.json`);
  await writeFile(path, "{ torn");
  host.source.swept = undefined;
  const next = await FakeHost.start({ previous: host });
  expect(next.unreadable).toEqual([path]);
  expect(await readFile(path, "utf8")).toBe("{ torn");
  expect(host.source.swept).toBeUndefined();
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
