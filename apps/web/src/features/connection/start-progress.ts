/** The steps of one start as hostd reports them, with the time each took. Only ever moves forward. */
import type { StartStage, WorkspaceStatus } from "@atoll/protocol/workspace-status";

export interface ProgressStep {
  name: StartStage["name"];
  startedAtMs: number;
  /** Undefined while it is the present one. */
  endedAtMs: number | undefined;
}

export interface StartProgress {
  path: StartStage["path"];
  generation: number;
  steps: ProgressStep[];
  index: number;
  total: number;
  typicalMs: number | undefined;
}

/** @param nowMs used where hostd does not say: the end of the last step */
export function advanceProgress(
  before: StartProgress | undefined,
  status: WorkspaceStatus,
  nowMs: number,
): StartProgress | undefined {
  const { stage, generation } = status;
  const present = before?.generation === generation ? before : undefined;
  if (!stage) {
    if (!present || status.state !== "running") return present;
    return { ...present, index: present.total, steps: endLast(present.steps, nowMs) };
  }
  // A report that was overtaken on its way.
  if (present && stage.index < present.index) return present;
  const last = present?.steps.at(-1);
  const isSame = last?.name === stage.name;
  const step = { name: stage.name, startedAtMs: stage.startedAtMs, endedAtMs: undefined };
  const steps = isSame ? (present?.steps ?? []) : [...endLast(present?.steps ?? [], stage.startedAtMs), step];
  const { path, index, total, typicalMs } = stage;
  return { path, generation, steps, index, total, typicalMs };
}

function endLast(steps: ProgressStep[], endedAtMs: number): ProgressStep[] {
  return steps.map((step, at) =>
    at === steps.length - 1 && step.endedAtMs === undefined ? { ...step, endedAtMs } : step,
  );
}
