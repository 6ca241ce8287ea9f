/** Workspaces whose memory is a difference to a template's: after a power cut at any moment both are there, or neither is needed. */
import { expect, test } from "vitest";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { replay, savedFile } from "../testing/replay-crashes.ts";
import { templateForMany } from "../testing/template-for-many.ts";
import { TestSource } from "../testing/test-source.ts";

const template = (at: TestSource) => templateForMany(at, ({ guest }) => guest.writeDisk("a", "new"));

test("one that began from a template boots after every crash once that was promised, and resumes over its memory once it paused", async () => {
  await using at = await TestSource.open();
  const { workspace, checkpointId, begin } = await template(at);
  let fork = workspace;
  const states = await replay({
    at,
    workspace,
    made: () => [fork.disk.diskId],
    run: async (recorder) => {
      fork = await begin();
      recorder.acknowledge("began");
      await fork.pause();
      recorder.acknowledge("paused");
    },
    check: async (after, acknowledged) => {
      expect(await savedFile(after)).toBe("new");
      if (acknowledged.length === 0) return;
      const forked = new LiveWorkspace(after.source, fork.request, { ...fork.disk });
      forked.linkToken = fork.linkToken;
      const snapshot = await after.source.findSnapshot(fork.request.workspaceId, forked.disk);
      if (acknowledged.includes("paused")) expect(snapshot).toBeDefined();
      if (snapshot === undefined) await forked.boot();
      else await forked.resume(snapshot);
      expect(forked.machine?.record.baseId).toBe(snapshot === undefined ? null : checkpointId);
      expect(await forked.guest.readDisk("a")).toBe("new");
      await forked.stop();
    },
  });
  expect(states).toBeGreaterThan(20);
});

test("a template's memory that goes is not missed after any crash", async () => {
  await using at = await TestSource.open();
  const { begin } = await template(at);
  const fork = await begin();
  await fork.pause();
  await replay({
    at,
    workspace: fork,
    run: async (recorder) => {
      await fork.boot();
      recorder.acknowledge("booted");
      await fork.stop();
    },
    check: async (after, acknowledged) => {
      after.linkToken = fork.linkToken;
      const snapshot = await after.source.findSnapshot(after.request.workspaceId, after.disk);
      if (acknowledged.length > 0) expect(snapshot).toBeUndefined();
      if (snapshot === undefined) await after.boot();
      else await after.resume(snapshot);
      expect(await after.guest.readDisk("a")).toBe("new");
      await after.stop();
    },
  });
});
