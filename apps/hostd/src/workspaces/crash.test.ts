/**
 * hostd is killed at every point of every operation, and once more while it recovers from that. Afterwards the workspace
 * is in a state that a start can leave, with every saved file, the memory or a word about it, and nothing left over.
 */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { createBody, FakeHost, type FakeHostOptions } from "../testing/fake-host.ts";
import type { FakeMachine } from "../testing/fake-machine.ts";
import type { Workspace } from "./workspace.ts";

const COUNTER = 7;
/** Nothing pauses or is archived by itself while these tests let time go by. */
const SLOW = { idlePauseSeconds: 86_400 };

interface Scene {
  host: FakeHost;
  /** The workspace all is about; a fork's is not there yet. */
  id: string;
  sourceId: string;
  checkpointId: string;
  safetyId: string;
}

interface Operation {
  name: string;
  options?: FakeHostOptions;
  prepare?: (scene: Scene, workspace: Workspace) => Promise<unknown>;
  run: (scene: Scene) => Promise<unknown>;
  /** What the file `work` may hold afterwards; `v1` unless said. */
  mayHold?: string[];
  /** Ends the memory on purpose, so that nobody has to be told. */
  dropsMemory?: boolean;
  check?: (scene: Scene, next: FakeHost) => void;
  /** The workspace is not there before. */
  isCreate?: boolean;
  mayBeErased?: boolean;
}

const get = ({ host, id }: Scene) => host.registry.get(id);
const save = (scene: Scene, value: string) => machineOf(scene.host, scene.id).save("work", value);

const OPERATIONS: Operation[] = [
  { name: "create", isCreate: true, run: ({ host, id }) => host.create(SLOW, id), mayHold: ["", "v1"] },
  {
    name: "fork of a running workspace",
    isCreate: true,
    run: ({ host, id, sourceId }) =>
      host.create({ ...SLOW, slug: "fork", origin: { kind: "workspace", workspaceId: sourceId } }, id),
    check: ({ sourceId }, next) => {
      expect(next.registry.get(sourceId).status.state).toBe("running");
      expect(machineOf(next, sourceId).read("work")).toBe("v1");
    },
  },
  {
    name: "fork of a checkpoint",
    isCreate: true,
    run: ({ host, id, sourceId, checkpointId }) =>
      host.create(
        { ...SLOW, slug: "fork", origin: { kind: "checkpoint", workspaceId: sourceId, checkpointId } },
        id,
      ),
  },
  {
    name: "pause into memory",
    options: { pauseGraceMs: 60_000 },
    run: (scene) => get(scene).pause("requested"),
  },
  { name: "pause to the disk", run: (scene) => get(scene).pause("requested") },
  {
    name: "return within the grace time",
    options: { pauseGraceMs: 60_000 },
    prepare: (_scene, workspace) => workspace.pause("requested"),
    run: (scene) => get(scene).start("requested"),
  },
  {
    name: "return while it is being sealed",
    options: { pauseGraceMs: 60_000 },
    prepare: async ({ host }, workspace) => {
      await workspace.pause("requested");
      host.source.before = async (operation) => {
        if (operation === "seal") await new Promise((resolve) => setImmediate(resolve));
      };
    },
    run: async (scene) => {
      scene.host.clock.advance(60_000);
      await get(scene).start("requested");
    },
  },
  {
    name: "resume from the disk",
    prepare: (_scene, workspace) => workspace.pause("requested"),
    run: (scene) => get(scene).start("requested"),
  },
  {
    name: "resume with a damaged snapshot",
    prepare: async ({ host }, workspace) => {
      await workspace.pause("requested");
      host.source.damageSnapshots();
    },
    run: (scene) => get(scene).start("requested"),
  },
  { name: "stop", dropsMemory: true, run: (scene) => get(scene).stop("requested") },
  {
    name: "stop of one paused in memory",
    options: { pauseGraceMs: 60_000 },
    dropsMemory: true,
    prepare: (_scene, workspace) => workspace.pause("requested"),
    run: (scene) => get(scene).stop("requested"),
  },
  {
    name: "boot",
    dropsMemory: true,
    prepare: (_scene, workspace) => workspace.stop("requested"),
    run: (scene) => get(scene).start("requested"),
  },
  {
    name: "checkpoint of a running workspace",
    run: (scene) => get(scene).checkpoint(randomUUID(), { name: "now", withMemory: true }),
  },
  {
    name: "checkpoint of a paused workspace",
    prepare: (_scene, workspace) => workspace.pause("requested"),
    run: (scene) => get(scene).checkpoint(randomUUID(), { name: "now", withMemory: true }),
  },
  ...(["running", "paused", "stopped"] as const).map(
    (state): Operation => ({
      name: `restore of a ${state} workspace`,
      options: { pauseGraceMs: 60_000 },
      dropsMemory: true,
      prepare: async (scene, workspace) => {
        save(scene, "v2");
        if (state === "paused") await workspace.pause("requested");
        if (state === "stopped") await workspace.stop("requested");
      },
      run: (scene) =>
        get(scene).restore({ checkpointId: scene.checkpointId, safetyCheckpointId: scene.safetyId }),
      mayHold: ["v1", "v2"],
      check: ({ id, safetyId }, next) => {
        if (machineOf(next, id).read("work") === "v2") return;
        // Undone work is stored, always.
        expect(diskOf(next, id)?.checkpoints.get(safetyId)?.content.get("work")).toBe("v2");
      },
    }),
  ),
  {
    name: "archive",
    dropsMemory: true,
    prepare: (_scene, workspace) => workspace.stop("requested"),
    run: async (scene) => {
      scene.host.clock.advance(get(scene).record.retention.archiveAfterStoppedSeconds * 1000);
      await scene.host.drive(scene.host.reached(get(scene), "archived"));
    },
  },
  {
    name: "start of an archived workspace",
    dropsMemory: true,
    prepare: async ({ host }, workspace) => {
      await workspace.stop("requested");
      host.clock.advance(workspace.record.retention.archiveAfterStoppedSeconds * 1000);
      await host.drive(host.reached(workspace, "archived"));
    },
    run: (scene) => get(scene).start("requested"),
  },
  {
    name: "delete of a running workspace",
    mayBeErased: true,
    run: ({ host, id }) => host.registry.erase(id),
  },
  {
    name: "delete of one paused in memory",
    options: { pauseGraceMs: 60_000 },
    mayBeErased: true,
    prepare: (_scene, workspace) => workspace.pause("requested"),
    run: ({ host, id }) => host.registry.erase(id),
  },
];

it.each(OPERATIONS)("survives a kill at every point: $name", async (operation) => {
  const pointCount = await attempt(operation, undefined);
  expect(pointCount).toBeGreaterThan(1);
  for (let at = 0; at < pointCount; at++) await attempt(operation, at);
});

/** Answers how many points the operation has; with `killAt` it is cut off there. */
async function attempt(operation: Operation, killAt: number | undefined): Promise<number> {
  const scene = await prepare(operation);
  const { host, id } = scene;
  await using _host = host;
  const before = host.life.points.length;
  host.life.killAt = (_point, index) => killAt !== undefined && index === before + killAt;
  const run = operation.run(scene);
  run.catch(() => {});
  await host.drive(Promise.race([run.catch(() => {}), host.life.killed]));
  const points = host.life.points.slice(before);
  const what = `${operation.name}, killed ${points.at(-1) ?? "never"}`;
  // And once more, somewhere in the recovery from it.
  const second = await FakeHost.start({
    ...operation.options,
    previous: host,
    killAt: (_point, index) => killAt !== undefined && index === (killAt * 7) % 12,
  });
  const next = await FakeHost.start({ ...operation.options, previous: second });
  const workspace = next.registry.find(id);
  if (workspace === undefined) {
    expect(operation.isCreate, what).toBe(true);
    expect(next.source.disks.size, what).toBe(1);
    return points.length;
  }
  await next.drive(settled(next, workspace));
  if (workspace.isDeleted) {
    expect(operation.mayBeErased, what).toBe(true);
    expect(workspace.status.state, what).toBe("erased");
    expect(next.source.disks.size, what).toBe(0);
    expect(next.source.liveMachines, what).toEqual([]);
    return points.length;
  }
  if (operation.isCreate && workspace.record.startedBy === null) {
    await next.drive(next.create(bodyOf(workspace), id));
  } else await next.drive(workspace.start("requested"));
  expect(workspace.status.state, what).toBe("running");
  expect(workspace.status.operation, what).toBeUndefined();
  expect(next.source.violations, what).toEqual([]);
  const machine = machineOf(next, id);
  expect(operation.mayHold ?? ["v1"], what).toContain(machine.read("work") ?? "");
  const hasMemory = machine.guest.counter === COUNTER;
  const isAnnounced = workspace.status.lostMemory !== undefined;
  expect(hasMemory || isAnnounced || operation.dropsMemory || operation.isCreate, what).toBe(true);
  expect(hasMemory && isAnnounced, what).toBe(false);
  operation.check?.(scene, next);
  const live = next.source.liveMachines.map(({ disk }) => disk?.workspaceId);
  expect(new Set(live).size, what).toBe(live.length);
  // It goes on as any other.
  machine.save("work", "v3");
  await next.drive(workspace.pauseToDisk("requested"));
  await next.drive(workspace.start("requested"));
  expect(machineOf(next, id).read("work"), what).toBe("v3");
  expect(machineOf(next, id).guest.counter, what).toBe(machine.guest.counter);
  expect(next.source.violations, what).toEqual([]);
  return points.length;
}

async function prepare({ options, prepare: more, isCreate }: Operation): Promise<Scene> {
  const host = await FakeHost.start(options);
  const workspace = await host.create(SLOW);
  const machine = machineOf(host, workspace.id);
  machine.save("work", "v1");
  machine.guest.counter = COUNTER;
  const checkpointId = randomUUID();
  const scene = { host, id: workspace.id, sourceId: workspace.id, checkpointId, safetyId: randomUUID() };
  await workspace.checkpoint(checkpointId, { name: "v1", withMemory: true });
  if (more !== undefined) await host.drive(more(scene, workspace));
  return isCreate ? { ...scene, id: randomUUID() } : scene;
}

/** What recovery left to be done with the guest's help is done. */
async function settled(host: FakeHost, workspace: Workspace): Promise<void> {
  const moving = ["creating", "resuming", "pausing", "stopping", "deleting"];
  while (moving.includes(workspace.status.state)) {
    await new Promise((resolve) => setImmediate(resolve));
    if (host.life.isKilled) return;
  }
}

function machineOf(host: FakeHost, workspaceId: string): FakeMachine {
  const machine = host.source.machines.findLast(
    ({ disk, isGone }) => !isGone && disk?.workspaceId === workspaceId,
  );
  if (machine === undefined) throw new Error("it has no machine");
  return machine;
}

function diskOf(host: FakeHost, workspaceId: string) {
  return [...host.source.disks.values()].find((disk) => disk.workspaceId === workspaceId);
}

function bodyOf({ record }: Workspace) {
  const { slug, origin } = record;
  return { ...createBody(SLOW), slug, ...(origin === null ? {} : { origin }) };
}
