import { expect, it } from "vitest";
import { createBody } from "../../testing/fake-host.ts";
import { newWorkspaceRecord } from "../new-workspace-record.ts";
import { readWorkspaceRecord } from "./read-workspace-record.ts";

/** As format 1 wrote it. */
const FORMAT_1 = {
  format: 1,
  workspaceId: "11111111-1111-4111-8111-111111111112",
  ownerId: "11111111-1111-4111-8111-111111111111",
  slug: "blue-reef",
  image: "base",
  size: { cpus: 1, memoryMb: 512, diskMb: 2048 },
  egress: "off",
  idlePauseSeconds: 60,
  state: "paused",
  reason: "idle",
  sinceMs: 5,
  generation: 3,
  errorCode: null,
  startedBy: "create",
  disk: { diskId: "d", imageKey: "i", templateId: "t", epoch: 2 },
  snapshot: { snapshotId: "s", sizeBytes: 1, createdAtMs: 4 },
  machine: null,
  linkToken: "ab".repeat(32),
  keyCommitment: "cd".repeat(32),
  tombstone: null,
};

it("takes a record of format 1 over: what was paused lies on the disk", () => {
  expect(readWorkspaceRecord(FORMAT_1)).toMatchObject({
    format: 2,
    state: "paused",
    pausedIn: "disk",
    snapshot: FORMAT_1.snapshot,
    retention: { stopAfterPausedSeconds: 86_400 },
    operation: null,
  });
  expect(readWorkspaceRecord({ ...FORMAT_1, state: "running" }).pausedIn).toBeNull();
});

it("reads what it writes, and neither a newer format nor half a record", () => {
  const record = newWorkspaceRecord(FORMAT_1.workspaceId, createBody(), 7);
  expect(readWorkspaceRecord(JSON.parse(JSON.stringify(record)))).toEqual(record);
  expect(() => readWorkspaceRecord({ ...record, format: 3 })).toThrow();
  const { state: _state, ...half } = FORMAT_1;
  expect(() => readWorkspaceRecord(half)).toThrow();
});
