import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type FileOps, realFileOps, withFileOps } from "@atoll/durable/file-ops";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { newRequest, TestSource } from "../testing/test-source.ts";

const MIB = 1024 * 1024;

async function opened(freeBytes = async () => 1024 * MIB) {
  const at = await TestSource.open({ source: { freeBytes } });
  await at.source.sweep(new Set());
  return { at, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() };
}

const snapshotsPath = (at: TestSource, { disk }: LiveWorkspace) =>
  join(at.directory, "workspaces", disk.diskId, "snapshots");

async function standing(workspace: LiveWorkspace) {
  const { machine } = workspace;
  if (machine === undefined) throw new Error("no machine");
  await workspace.guest.quiesce();
  workspace.close();
  await machine.stop();
  return machine;
}

/** Goes on as the lifecycle does after a pause that failed: the guest must have everything it had. */
async function goesOn(workspace: LiveWorkspace, count: number) {
  const { machine } = workspace;
  if (machine === undefined) throw new Error("no machine");
  await workspace.run(machine, { reason: "reconnect", expectedToken: workspace.linkToken });
  expect(await workspace.guest.count()).toBe(count);
}

/** The real operations, but for those on sealed files and records of snapshots and checkpoints. */
function failing(
  code: string,
  fails: (operation: "write" | "sync" | "rename" | "syncDirectory") => boolean,
): FileOps {
  const refuse = (operation: Parameters<typeof fails>[0]) => {
    if (fails(operation)) throw Object.assign(new Error(code), { code });
  };
  return {
    ...realFileOps,
    async create(path, mode) {
      const file = await realFileOps.create(path, mode);
      return {
        write: async (bytes) => {
          refuse("write");
          await file.write(bytes);
        },
        sync: async () => {
          refuse("sync");
          await file.sync();
        },
        [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
      };
    },
    async rename(from, to) {
      refuse("rename");
      await realFileOps.rename(from, to);
    },
    async syncDirectory(path) {
      if (/snapshots|checkpoints/.test(path)) refuse("syncDirectory");
      await realFileOps.syncDirectory(path);
    },
  };
}

test("room is promised once: pauses at the same time are refused what the first was promised", async () => {
  let freeBytes = 1024 * MIB;
  await using place = await opened(async () => freeBytes);
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  const { machine } = workspace;
  if (machine === undefined) throw new Error("no machine");
  const reserve = () => at.source.reserve(workspace.request, workspace.disk, machine);
  freeBytes = (256 + 2 * 65) * MIB;
  const [first, second] = [await reserve(), await reserve()];
  expect(first.bytes).toBeGreaterThanOrEqual(64 * MIB);
  await expect(reserve()).rejects.toMatchObject({ code: "host.disk_full" });
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  const third = await reserve();
  await expect(reserve()).rejects.toMatchObject({ code: "host.disk_full" });
  for (const reservation of [second, third]) reservation[Symbol.dispose]();
  // The guest's whole RAM is the most it can be.
  machine.changedBytes = async () => 10 * 1024 * MIB;
  freeBytes = 2048 * MIB;
  using all = await reserve();
  expect(all.bytes).toBe((512 + 64) * MIB);
});

test.each([
  ["ENOSPC", "write", "host.disk_full"],
  ["EDQUOT", "write", "host.disk_full"],
  ["EIO", "write", "host.disk_failed"],
  ["EIO", "sync", "host.disk_failed"],
  ["ENOSPC", "rename", "host.disk_full"],
  ["EIO", "syncDirectory", "host.disk_failed"],
] as const)(
  "%s at a %s of a pause is %s; no file stays and the machine is whole",
  async (errno, at_, code) => {
    await using place = await opened();
    const { at } = place;
    const workspace = await LiveWorkspace.create(at.source, newRequest());
    const count = await workspace.guest.count();
    for (let nth = 1; nth <= 3; nth++) {
      const machine = await standing(workspace);
      let left = nth;
      const ops = failing(errno, (operation) => operation === at_ && --left === 0);
      const sealing = withFileOps(ops, () => at.source.seal(workspace.request, workspace.disk, machine));
      const failed = await sealing.then(
        () => undefined,
        (error: unknown) => error,
      );
      // The last syncs come after the commit, and a pause that is committed has succeeded.
      if (failed === undefined) {
        expect(nth).toBeGreaterThan(1);
        break;
      }
      expect(failed).toMatchObject({ code });
      expect(await readdir(snapshotsPath(at, workspace))).toEqual([]);
      expect(await at.source.findSnapshot(workspace.request.workspaceId, workspace.disk)).toBeUndefined();
      await goesOn(workspace, count + nth);
    }
  },
);

test("a checkpoint that the disk has no room for leaves nothing, and the point can be kept later", async () => {
  await using place = await opened();
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  await workspace.guest.writeDisk("a", "1");
  await using point = await workspace.capture();
  const facts = { checkpointId: newRequest().workspaceId, name: "one", kind: "named" } as const;
  const keep = () => at.source.keep(workspace.request, workspace.disk, point, facts);
  const path = join(at.directory, "workspaces", workspace.disk.diskId, "checkpoints");
  for (const operation of ["write", "sync", "rename"] as const) {
    await expect(
      withFileOps(
        failing("ENOSPC", (each) => each === operation),
        keep,
      ),
    ).rejects.toMatchObject({
      code: "host.disk_full",
    });
    expect(await readdir(path)).toEqual([]);
  }
  expect(await keep()).toMatchObject({ hasMemory: true });
  expect((await readdir(path)).sort()).toEqual([
    `${facts.checkpointId}.json`,
    `${facts.checkpointId}.sealed`,
  ]);
});

test("a sealing that nobody waits for any more ends no machine and leaves nothing to be found", async () => {
  await using place = await opened();
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  const count = await workspace.guest.count();
  const machine = await standing(workspace);
  const [syncing, isSlow] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow: FileOps = {
    ...realFileOps,
    async create(path, mode) {
      const file = await realFileOps.create(path, mode);
      const sync = async () => {
        syncing.resolve();
        await isSlow.promise;
        await file.sync();
      };
      const write = (bytes: Uint8Array) => file.write(bytes);
      return { write, sync, [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() };
    },
  };
  const abort = new AbortController();
  const request = { ...workspace.request, signal: abort.signal };
  const sealing = withFileOps(slow, () => at.source.seal(request, workspace.disk, machine));
  await syncing.promise;
  abort.abort(new AtollError("workspace.busy"));
  await goesOn(workspace, count + 1);
  isSlow.resolve();
  await expect(sealing).rejects.toMatchObject({ code: "workspace.busy" });
  expect(await readdir(snapshotsPath(at, workspace))).toEqual([]);
  expect(await workspace.guest.count()).toBe(count + 2);
});

test("what a sealing left behind committed is void once the machine ran and pauses anew", async () => {
  await using place = await opened();
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  const count = await workspace.guest.count();
  const machine = await standing(workspace);
  const { kill } = machine;
  machine.kill = async () => {};
  await at.source.seal(workspace.request, workspace.disk, machine);
  machine.kill = kill;
  await goesOn(workspace, count + 1);
  using _room = await at.source.reserve(workspace.request, workspace.disk, machine);
  expect(await at.source.findSnapshot(workspace.request.workspaceId, workspace.disk)).toBeUndefined();
});

test("a pause whose process cannot be ended is no pause", async () => {
  await using place = await opened();
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  const count = await workspace.guest.count();
  const machine = await standing(workspace);
  const { kill } = machine;
  machine.kill = async () => {
    throw new Error("stuck in the kernel");
  };
  await expect(at.source.seal(workspace.request, workspace.disk, machine)).rejects.toThrow("stuck");
  expect(await at.source.findSnapshot(workspace.request.workspaceId, workspace.disk)).toBeUndefined();
  machine.kill = kill;
  await goesOn(workspace, count + 1);
});

test("hostd ends between two commits of one standing machine: the newest good one is used", async () => {
  await using place = await opened();
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  await workspace.guest.writeDisk("a", "1");
  const count = await workspace.guest.count();
  const machine = await standing(workspace);
  const { kill } = machine;
  machine.kill = async () => {};
  const path = snapshotsPath(at, workspace);
  const seal = () => at.source.seal(workspace.request, workspace.disk, machine);
  const first = await seal();
  const kept = new Map<string, Buffer>();
  for (const name of await readdir(path)) kept.set(name, await readFile(join(path, name)));
  at.clock.advance(1000);
  const second = await seal();
  await kill.call(machine);
  for (const [name, bytes] of kept) await writeFile(join(path, name), bytes);
  const find = () => at.source.findSnapshot(workspace.request.workspaceId, workspace.disk);
  expect(await find()).toEqual(second);
  await truncate(join(path, `${second.snapshotId}.sealed`), 5);
  expect(await find()).toEqual(first);
  // Named by the journal, found damaged when it is read.
  await workspace.resume(second);
  expect(await workspace.guest.count()).toBe(count + 1);
  expect(await workspace.guest.readDisk("a")).toBe("1");
});

test("a resume that cannot raise the epoch leaves the snapshot and no process", async () => {
  await using place = await opened();
  const { at } = place;
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  const count = await workspace.guest.count();
  const snapshot = await workspace.pause();
  const ops = failing("EIO", (operation) => operation === "rename");
  await expect(withFileOps(ops, () => workspace.resume(snapshot))).rejects.toThrow();
  expect(at.host.machines.size).toBe(0);
  await workspace.resume(snapshot);
  expect(await workspace.guest.count()).toBe(count + 1);
});
