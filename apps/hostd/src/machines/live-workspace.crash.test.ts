/** What is done to a workspace that runs, sleeps or is copied: after a power cut at any moment nothing saved is lost. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { RecordingFileOps } from "@atoll/durable/testing/recording-file-ops";
import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { expect, test } from "vitest";
import type { EncryptedDisk } from "../hypervisor/hypervisor.ts";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { replay, savedFile } from "../testing/replay-crashes.ts";
import { newRequest, TestSource } from "../testing/test-source.ts";

/** With a file that was saved. */
async function runningWorkspace(at: TestSource): Promise<LiveWorkspace> {
  await at.source.sweep(new Set());
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  await workspace.guest.writeDisk("a", "new");
  return workspace;
}

test("a created workspace boots after every crash once that was promised", async () => {
  await using at = await TestSource.open();
  const neighbour = await runningWorkspace(at);
  const request = newRequest();
  let disk = neighbour.disk;
  await replay({
    at,
    workspace: neighbour,
    made: () => [disk.diskId],
    run: async (recorder) => {
      ({ disk } = await at.source.create(request));
      recorder.acknowledge("created");
    },
    check: async (after, acknowledged) => {
      expect(await savedFile(after)).toBe("new");
      if (acknowledged.length === 0) return;
      expect(await savedFile(new LiveWorkspace(after.source, request, { ...disk }))).toBeUndefined();
    },
  });
});

test("a checkpoint of a running workspace with its memory is whole or absent", async () => {
  await using at = await TestSource.open();
  const workspace = await runningWorkspace(at);
  const checkpointId = randomUUID();
  const states = await replay({
    at,
    workspace,
    run: async (recorder) => {
      await using point = await workspace.capture();
      const facts = { checkpointId, name: "live", kind: "named" } as const;
      await at.source.keep(workspace.request, workspace.disk, point, facts);
      recorder.acknowledge("kept");
    },
    check: async (after, acknowledged) => {
      expect(await savedFile(after)).toBe("new");
      const { checkpoints } = await after.source.listCheckpoints(after.owner);
      if (acknowledged.length > 0) expect(checkpoints).toHaveLength(1);
      for (const found of checkpoints) {
        expect(found).toMatchObject({ checkpointId, hasMemory: true });
        await after.restore(checkpointId);
        after.linkToken = workspace.linkToken;
        await after.resumeCheckpoint(checkpointId);
        expect(await after.guest.readDisk("a")).toBe("new");
        await after.stop();
      }
    },
  });
  expect(states).toBeGreaterThan(20);
});

test("a pause that was promised is resumed after every crash, any other is that or a boot", async () => {
  await using at = await TestSource.open();
  const workspace = await runningWorkspace(at);
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      await workspace.pause();
      recorder.acknowledge("paused");
    },
    check: async (after, acknowledged) => {
      const { workspaceId } = after.request;
      const snapshot = await after.source.findSnapshot(workspaceId, after.disk);
      if (acknowledged.length > 0) expect(snapshot).toBeDefined();
      after.linkToken = workspace.linkToken;
      if (snapshot === undefined) await after.boot();
      else await after.resume(snapshot);
      expect(await after.guest.readDisk("a")).toBe("new");
      await after.stop();
    },
  });
});

test("a snapshot that was resumed from is not found after any crash", async () => {
  await using at = await TestSource.open();
  const workspace = await runningWorkspace(at);
  const snapshot = await workspace.pause();
  const paused = { ...workspace.disk };
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      await workspace.resume(snapshot);
      recorder.acknowledge("resumed");
      // What is removed in the background has its turn first.
      await at.source.dropSnapshots(workspace.disk);
    },
    check: async (after, acknowledged) => {
      const found = await after.source.findSnapshot(after.request.workspaceId, paused);
      if (acknowledged.length > 0) expect(found).toBeUndefined();
      after.linkToken = workspace.linkToken;
      if (found !== undefined) await after.resume(found);
      else await after.boot();
      expect(await after.guest.readDisk("a")).toBe("new");
      await after.stop();
    },
  });
});

test("a fork that was promised is whole after every crash, and its origin always", async () => {
  await using at = await TestSource.open();
  const workspace = await runningWorkspace(at);
  const request = newRequest();
  let disk = workspace.disk;
  await using point = await workspace.capture();
  await workspace.guest.writeDisk("a", "newer");
  await replay({
    at,
    workspace,
    made: () => [disk.diskId],
    run: async (recorder) => {
      ({ disk } = await at.source.createFrom(request, point));
      recorder.acknowledge("forked");
    },
    check: async (after, acknowledged) => {
      expect(await savedFile(after)).toBe("newer");
      if (acknowledged.length === 0) return;
      expect(await savedFile(new LiveWorkspace(after.source, request, { ...disk }))).toBe("new");
    },
  });
});

test("a fork that was begun before its origin's state was taken is whole after every crash, or gone", async () => {
  await using at = await TestSource.open();
  const workspace = await runningWorkspace(at);
  const request = newRequest();
  let disk = workspace.disk;
  await replay({
    at,
    workspace,
    made: () => [disk.diskId],
    run: async (recorder) => {
      await using prepared = workspace.prepareFork(request);
      await using point = await workspace.capture();
      ({ disk } = await at.source.createFrom(request, point, prepared));
      recorder.acknowledge("forked");
    },
    check: async (after, acknowledged) => {
      expect(await savedFile(after)).toBe("new");
      if (acknowledged.length === 0) return;
      expect(await savedFile(new LiveWorkspace(after.source, request, { ...disk }))).toBe("new");
    },
  });
});

const keys = (count: number) => Array.from({ length: count }, (_, index) => `key ${index}`);

/** With something in each of its layers. */
async function layeredWorkspace(at: TestSource, layerCount: number): Promise<LiveWorkspace> {
  const workspace = await runningWorkspace(at);
  for (const key of keys(layerCount)) {
    await workspace.guest.writeDisk(key, "new");
    const point = await workspace.capture(false);
    await point[Symbol.asyncDispose]();
  }
  return workspace;
}

async function requireKeys(after: LiveWorkspace, layerCount: number): Promise<void> {
  await after.boot();
  for (const key of ["a", ...keys(layerCount)]) expect(await after.guest.readDisk(key)).toBe("new");
  await after.stop();
}

/** The monitor writes the top by itself, and has it flushed when it says that it is through. */
const topPath = ({ directory, layers }: Pick<EncryptedDisk, "directory" | "layers">) =>
  join(directory, `${layers.at(-1)?.layerId}.qcow2`);

function recordFlattening(at: TestSource, recorder: RecordingFileOps): void {
  const { hypervisor } = at;
  const flatten = hypervisor.flattenDisk.bind(hypervisor);
  hypervisor.flattenDisk = async (disk, signal) => {
    await flatten(disk, signal);
    await recorder.wrote(topPath(disk));
  };
}

test("flattening a stopped disk loses nothing at any crash", async () => {
  await using at = await TestSource.open();
  const workspace = await layeredWorkspace(at, DISK_LAYERS_FLATTEN);
  await workspace.stop();
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      recordFlattening(at, recorder);
      await at.source.flatten(workspace.request, workspace.disk, undefined);
      recorder.acknowledge("flattened");
    },
    check: (after) => requireKeys(after, DISK_LAYERS_FLATTEN),
  });
});

test("flattening a running disk loses nothing at any crash", async () => {
  await using at = await TestSource.open();
  const workspace = await layeredWorkspace(at, DISK_LAYERS_FLATTEN);
  const { machine } = workspace;
  if (machine === undefined) throw new Error("it does not run");
  const layerId = await machine.topLayerId();
  const directory = join(at.directory, "workspaces", workspace.disk.diskId, "layers");
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      const flatten = machine.flatten.bind(machine);
      machine.flatten = async (signal) => {
        await flatten(signal);
        await recorder.wrote(topPath({ directory, layers: [{ layerId, key: new Uint8Array() }] }));
      };
      await at.source.flatten(workspace.request, workspace.disk, machine);
      recorder.acknowledge("flattened");
    },
    check: (after) => requireKeys(after, DISK_LAYERS_FLATTEN),
  });
});

test("archiving a disk that is nobody else's into one layer loses nothing at any crash", async () => {
  await using at = await TestSource.open();
  const workspace = await layeredWorkspace(at, 3);
  await workspace.stop();
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      recordFlattening(at, recorder);
      await at.source.archive(workspace.request, workspace.disk);
      recorder.acknowledge("archived");
    },
    check: async (after) => {
      after.disk = await after.source.unarchive(after.request, after.disk);
      await requireKeys(after, 3);
    },
  });
});
