import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { describe, expect, it } from "vitest";
import { suggestedName, timelineRows, undoOf } from "./timeline-model.ts";

const checkpoint = (
  checkpointId: string,
  kind: CheckpointInfo["kind"],
  createdAtMs: number,
): CheckpointInfo => ({
  checkpointId,
  name: checkpointId,
  kind,
  createdAtMs,
  hasMemory: false,
  parentId: null,
  ownBytes: 0,
});
const list = [checkpoint("a", "named", 1), checkpoint("b", "safety", 3), checkpoint("c", "automatic", 2)];

describe("timeline", () => {
  it("is newest first and marks where the disk continues from", () => {
    const rows = timelineRows(list, "c", { filter: "all", undoId: undefined });
    expect(rows.map((row) => [row.checkpoint.checkpointId, row.isCurrent])).toEqual([
      ["b", false],
      ["c", true],
      ["a", false],
    ]);
    expect(timelineRows(list, null, { filter: "named", undoId: undefined })).toHaveLength(1);
  });

  it("offers to undo a restore as long as what it set aside is there", () => {
    const undo = { safetyCheckpointId: "b", name: "a" };
    expect(undoOf(undo, list)).toBe(undo);
    expect(timelineRows(list, "a", { filter: "all", undoId: "b" })[0]).toMatchObject({ isUndo: true });
    expect(undoOf(undo, [])).toBeUndefined();
    expect(undoOf(undefined, list)).toBeUndefined();
  });

  it("suggests a name that is free", () => {
    expect(suggestedName([])).toBe("Checkpoint 1");
    expect(suggestedName([{ name: "Checkpoint 1" }, { name: "Checkpoint 3" }])).toBe("Checkpoint 2");
  });
});
