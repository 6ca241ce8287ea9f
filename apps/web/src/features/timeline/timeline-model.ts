/** Which checkpoints are shown, how they are named, and which one undoes what. Pure. */
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";

export type TimelineFilter = "all" | CheckpointInfo["kind"];

export interface TimelineRow {
  checkpoint: CheckpointInfo;
  /** The present disk continues from this one. */
  isCurrent: boolean;
  kindWords: string;
  /** Restoring it brings back what was before the last restore. */
  isUndo: boolean;
}

export const KIND_WORDS: Record<CheckpointInfo["kind"], string> = {
  named: "Named",
  automatic: "Automatic",
  safety: "Safety",
};

export function timelineRows(
  checkpoints: readonly CheckpointInfo[],
  currentParentId: string | null,
  options: { filter: TimelineFilter; undoId: string | undefined },
): TimelineRow[] {
  return checkpoints
    .filter(({ kind }) => options.filter === "all" || kind === options.filter)
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs)
    .map((checkpoint) => ({
      checkpoint,
      isCurrent: checkpoint.checkpointId === currentParentId,
      kindWords: KIND_WORDS[checkpoint.kind],
      isUndo: checkpoint.checkpointId === options.undoId,
    }));
}

/** What the button in the list offers for the restore that was just made; none once its checkpoint is gone. */
export function undoOf<U extends { safetyCheckpointId: string }>(
  undo: U | undefined,
  checkpoints: readonly CheckpointInfo[],
): U | undefined {
  return checkpoints.some(({ checkpointId }) => checkpointId === undo?.safetyCheckpointId) ? undo : undefined;
}

/** "Checkpoint 3": the first number that no checkpoint of that name has. */
export function suggestedName(checkpoints: readonly Pick<CheckpointInfo, "name">[]): string {
  const taken = new Set(checkpoints.map(({ name }) => name));
  for (let number = 1; ; number += 1) {
    const name = `Checkpoint ${number}`;
    if (!taken.has(name)) return name;
  }
}
