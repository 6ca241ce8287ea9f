/** Whole operations on a workspace's disk: after a power cut at any moment the next life finds all that was promised. */
import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { replay, savedFile } from "../testing/replay-crashes.ts";
import { newRequest, TestSource } from "../testing/test-source.ts";

/** Stopped, with a file that was saved and a checkpoint from before it was. */
async function stoppedWorkspace(at: TestSource) {
  await at.source.sweep(new Set());
  const workspace = await LiveWorkspace.create(at.source, newRequest());
  await workspace.guest.writeDisk("a", "old");
  const checkpointId = await workspace.checkpoint();
  await workspace.guest.writeDisk("a", "new");
  await workspace.stop();
  return { workspace, checkpointId };
}

const checkpointIds = async ({ source, owner }: LiveWorkspace) =>
  (await source.listCheckpoints(owner)).checkpoints.map(({ checkpointId }) => checkpointId);

/** Nothing of a checkpoint is there, or all of it: then it restores. */
async function requireWholeCheckpoints(
  after: LiveWorkspace,
  contents: Record<string, string>,
): Promise<void> {
  for (const checkpointId of await checkpointIds(after)) {
    await after.restore(checkpointId);
    expect(await savedFile(after)).toBe(contents[checkpointId]);
  }
}

test("a checkpoint of a stopped workspace is there or not, and saved files are", async () => {
  await using at = await TestSource.open();
  const { workspace, checkpointId } = await stoppedWorkspace(at);
  const next = randomUUID();
  const states = await replay({
    at,
    workspace,
    run: async (recorder) => {
      await using point = await workspace.capture();
      const facts = { checkpointId: next, name: "next", kind: "named" } as const;
      await at.source.keep(workspace.request, workspace.disk, point, facts);
      recorder.acknowledge("kept");
    },
    check: async (after, acknowledged) => {
      const ids = await checkpointIds(after);
      expect(ids).toContain(checkpointId);
      if (acknowledged.length > 0) expect(ids).toContain(next);
      expect(await savedFile(after)).toBe("new");
      await requireWholeCheckpoints(after, { [checkpointId]: "old", [next]: "new" });
    },
  });
  expect(states).toBeGreaterThan(10);
});

test.each(["syncFile", "syncDirectory"])("a checkpoint without %s is noticed", async (kind) => {
  await using at = await TestSource.open();
  const { workspace, checkpointId } = await stoppedWorkspace(at);
  const next = randomUUID();
  const careless = replay({
    at,
    workspace,
    omit: (operation) => operation.kind === kind,
    run: async (recorder) => {
      await using point = await workspace.capture();
      const facts = { checkpointId: next, name: "next", kind: "named" } as const;
      await at.source.keep(workspace.request, workspace.disk, point, facts);
      recorder.acknowledge("kept");
    },
    check: async (after, acknowledged) => {
      if (acknowledged.length > 0) expect(await checkpointIds(after)).toContain(next);
      expect(await savedFile(after)).toBe("new");
      await requireWholeCheckpoints(after, { [checkpointId]: "old", [next]: "new" });
    },
  });
  await expect(careless).rejects.toThrow("crash");
});

test("a restore has happened or not, and can be repeated to the same end", async () => {
  await using at = await TestSource.open();
  const { workspace, checkpointId } = await stoppedWorkspace(at);
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      await workspace.restore(checkpointId);
      recorder.acknowledge("restored");
    },
    check: async (after, acknowledged) => {
      expect(acknowledged.length > 0 ? ["old"] : ["old", "new"]).toContain(await savedFile(after));
      await after.restore(checkpointId);
      expect(await savedFile(after)).toBe("old");
    },
  });
});

test("archiving and coming back loses nothing", async () => {
  await using at = await TestSource.open();
  const { workspace, checkpointId } = await stoppedWorkspace(at);
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      workspace.disk = await at.source.archive(workspace.request, workspace.disk);
      recorder.acknowledge("archived");
      workspace.disk = await at.source.unarchive(workspace.request, workspace.disk);
    },
    check: async (after) => {
      after.disk = await after.source.unarchive(after.request, after.disk);
      expect(await savedFile(after)).toBe("new");
      await requireWholeCheckpoints(after, { [checkpointId]: "old" });
    },
  });
});

test("a deleted checkpoint is gone or whole, and the others and the disk stay", async () => {
  await using at = await TestSource.open();
  const { workspace, checkpointId } = await stoppedWorkspace(at);
  await workspace.boot();
  const second = await workspace.checkpoint({ withMemory: false });
  await workspace.stop();
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      await at.source.deleteCheckpoint(workspace.owner, checkpointId);
      recorder.acknowledge("deleted");
    },
    check: async (after, acknowledged) => {
      const ids = await checkpointIds(after);
      expect(ids).toContain(second);
      if (acknowledged.length > 0) expect(ids).not.toContain(checkpointId);
      expect(await savedFile(after)).toBe("new");
      await requireWholeCheckpoints(after, { [checkpointId]: "old", [second]: "new" });
    },
  });
});

test("an epoch that a machine was started under is never used again", async () => {
  await using at = await TestSource.open();
  const { workspace } = await stoppedWorkspace(at);
  let epoch = 0;
  await replay({
    at,
    workspace,
    run: async (recorder) => {
      epoch = await at.source.boot(workspace.request, workspace.disk).then(async ({ machine, disk }) => {
        recorder.acknowledge("booted");
        await machine.kill();
        return disk.epoch;
      });
    },
    check: async (after, acknowledged) => {
      const known = after.disk.epoch;
      await after.boot();
      expect(after.disk.epoch).toBeGreaterThan(acknowledged.length > 0 ? epoch : known);
      expect(await after.guest.readDisk("a")).toBe("new");
    },
  });
});

test("what was destroyed stays unreadable after every crash, and is gone once that was promised", async () => {
  await using at = await TestSource.open();
  const { workspace } = await stoppedWorkspace(at);
  const { ownerId, workspaceId } = workspace.request;
  await replay({
    at,
    workspace,
    mayReportFaults: true,
    run: async (recorder) => {
      await at.source.destroy(workspaceId, ownerId, workspace.disk);
      recorder.acknowledge("destroyed");
    },
    check: async (after, acknowledged) => {
      const opened = await after.boot().then(
        () => "opened",
        (error: unknown) => (error instanceof AtollError ? error.code : String(error)),
      );
      // Its key went first and is not part of what is replayed.
      expect(["key.not_found", "workspace.record_damaged"]).toContain(opened);
      if (acknowledged.length > 0) {
        expect(opened).not.toBe("opened");
        expect(await after.source.destroy(workspaceId, ownerId, after.disk)).toBeDefined();
      }
    },
  });
});
