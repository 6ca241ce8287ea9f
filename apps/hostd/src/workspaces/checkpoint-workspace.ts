import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import type { CheckpointFacts, MachineSource } from "../machines/machine-source.ts";
import { captureWorkspace } from "./capture-workspace.ts";
import { memoryStepTimeoutMs } from "./seal-workspace.ts";
import { surplusCheckpoints } from "./surplus-checkpoints.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

export const CHECKPOINT_TIMEOUT_MS = 120_000;

export interface CheckpointWish extends CheckpointFacts {
  withMemory: boolean;
}

/** Repeating an id answers the stored one. @throws AtollError checkpoint.limit_reached */
export async function checkpointWorkspace(
  core: WorkspaceCore,
  wish: CheckpointWish,
  signal: AbortSignal,
): Promise<CheckpointInfo> {
  const { checkpoints } = await listCheckpoints(core, signal);
  const stored = checkpoints.find(({ checkpointId }) => checkpointId === wish.checkpointId);
  if (stored !== undefined) return stored;
  const limit = core.record.maxCheckpoints;
  if (wish.kind === "named" && checkpoints.filter(({ kind }) => kind === "named").length >= limit) {
    throw new AtollError("checkpoint.limit_reached", undefined, { details: { limit } });
  }
  return core.during("checkpoint", async () => {
    const { withMemory, ...facts } = wish;
    await using point = await captureWorkspace(core, { withMemory, letRun: "after", signal });
    const info = await keepPoint(core, point, facts, signal);
    await thinCheckpoints(core, signal);
    return info;
  });
}

export function keepPoint(
  core: WorkspaceCore,
  point: Parameters<MachineSource["keep"]>[2],
  facts: CheckpointFacts,
  signal: AbortSignal,
): Promise<CheckpointInfo> {
  return core.step(
    "keep",
    (bounded) => core.dependencies.source.keep(core.request(bounded), core.disk, point, facts),
    { timeoutMs: memoryStepTimeoutMs(core), signal },
  );
}

export function listCheckpoints(core: WorkspaceCore, signal: AbortSignal) {
  return core.step("list checkpoints", () => core.dependencies.source.listCheckpoints(core.checkpointOwner), {
    timeoutMs: CHECKPOINT_TIMEOUT_MS,
    signal,
  });
}

export async function deleteCheckpoint(
  core: WorkspaceCore,
  checkpointId: string,
  signal: AbortSignal,
): Promise<void> {
  // Its memory would be gone when the next start asks for it.
  if (core.record.restoredFrom === checkpointId) await core.update({ restoredFrom: null });
  await core.step(
    "delete checkpoint",
    () => core.dependencies.source.deleteCheckpoint(core.checkpointOwner, checkpointId),
    { timeoutMs: CHECKPOINT_TIMEOUT_MS, signal },
  );
}

/** Of those nobody named. What cannot be removed now is at the next one. */
async function thinCheckpoints(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const { clock, logger } = core.dependencies;
  try {
    const { checkpoints } = await listCheckpoints(core, signal);
    for (const checkpointId of surplusCheckpoints(checkpoints, core.record.maxCheckpoints, clock.now())) {
      await deleteCheckpoint(core, checkpointId, signal);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    logger.warn({ workspaceId: core.record.workspaceId, err: error }, "checkpoints were not thinned out");
  }
}
