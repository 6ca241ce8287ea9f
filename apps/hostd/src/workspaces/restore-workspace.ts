import { randomUUID } from "node:crypto";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { unarchiveDisk } from "./archive-workspace.ts";
import { captureWorkspace } from "./capture-workspace.ts";
import { CHECKPOINT_TIMEOUT_MS, keepPoint, listCheckpoints } from "./checkpoint-workspace.ts";
import type { WorkspaceRecord } from "./journal/workspace-record.ts";
import { letGoOn } from "./quiesce-guest.ts";
import { startWorkspace } from "./start-workspace.ts";
import { endForGood } from "./stop-workspace.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

export const SAFETY_NAME = "Before a restore";

type RestoreInProgress = NonNullable<WorkspaceRecord["operation"]>;

export interface RestoreWish {
  checkpointId: string;
  /** Repeating a restore that was done, known by this, does nothing. */
  safetyCheckpointId: string;
}

/**
 * Everything as it was at the checkpoint. What is there now is stored first, so that nothing is lost whatever follows;
 * a running workspace runs again afterwards. The journal names the restore before it begins: see `finishRestore`.
 */
export async function restoreWorkspace(
  core: WorkspaceCore,
  wish: RestoreWish,
  signal: AbortSignal,
): Promise<void> {
  const { record } = core;
  if (record.lastRestoreId === wish.safetyCheckpointId) return;
  const { source, clock } = core.dependencies;
  const { checkpoints } = await listCheckpoints(core, signal);
  const target = checkpoints.find(({ checkpointId }) => checkpointId === wish.checkpointId);
  if (target === undefined) throw new AtollError("checkpoint.not_found");
  // Whether it can be read at all shows before anything is touched.
  const point = await core.step(
    "open checkpoint",
    () => source.openCheckpoint(core.checkpointOwner, wish.checkpointId),
    { timeoutMs: CHECKPOINT_TIMEOUT_MS, signal, onLate: (late) => late[Symbol.asyncDispose]() },
  );
  await point[Symbol.asyncDispose]();
  // A first try that failed may have left a safety checkpoint of this id, and work went on since.
  const isTaken = checkpoints.some(({ checkpointId }) => checkpointId === wish.safetyCheckpointId);
  const operation: RestoreInProgress = {
    kind: "restore",
    checkpointId: wish.checkpointId,
    safetyCheckpointId: isTaken ? randomUUID() : wish.safetyCheckpointId,
    restoreId: wish.safetyCheckpointId,
    wasRunning: record.state === "running",
    startedAtMs: clock.now(),
    isReplacing: false,
  };
  await core.update({ operation, generation: record.generation + 1 });
  try {
    await makeSafetyCheckpoint(core, operation, signal);
  } catch (error) {
    await core.update({ operation: null });
    throw error;
  }
  await replaceDisk(core, operation, target, signal);
}

/** Exactly what the machine was ended at: its vCPUs do not run again in between, unless this fails. */
async function makeSafetyCheckpoint(
  core: WorkspaceCore,
  { safetyCheckpointId }: RestoreInProgress,
  signal: AbortSignal,
): Promise<void> {
  const { machine } = core;
  const isRunning = core.record.state === "running";
  await using point = await captureWorkspace(core, { withMemory: true, letRun: "never", signal });
  try {
    const facts = { checkpointId: safetyCheckpointId, name: SAFETY_NAME, kind: "safety" } as const;
    await keepPoint(core, point, facts, signal);
  } catch (error) {
    if (isRunning && machine !== undefined) await letGoOn(core, machine);
    throw error;
  }
}

async function replaceDisk(
  core: WorkspaceCore,
  operation: RestoreInProgress,
  target: CheckpointInfo,
  signal: AbortSignal,
): Promise<void> {
  const replacing = { ...operation, isReplacing: true };
  const hadMachine = core.machine !== undefined;
  if (hadMachine) {
    await core.transition("stop_begun", "restored", { operation: replacing });
    await endForGood(core);
  } else await core.update({ operation: replacing });
  try {
    await putBack(core, target, restoreIdOf(operation), signal);
  } catch (cause) {
    // The machine is gone, but what it was is stored: back to that.
    if (hadMachine && core.record.tombstone === null)
      await undo(core, operation, toAtollError(cause), signal);
    else if (core.record.tombstone === null) await core.update({ operation: null });
    throw cause;
  }
  await runAgain(core, operation, signal);
}

async function putBack(
  core: WorkspaceCore,
  { checkpointId, hasMemory }: Pick<CheckpointInfo, "checkpointId" | "hasMemory">,
  restoreId: string | null,
  signal: AbortSignal,
): Promise<void> {
  const { source, endCurrentViews } = core.dependencies;
  await endCurrentViews(core.record.workspaceId);
  if (core.record.isArchived) await unarchiveDisk(core, signal);
  const disk = await core.step(
    "restore",
    (bounded) => source.restore(core.request(bounded), core.disk, checkpointId),
    { timeoutMs: CHECKPOINT_TIMEOUT_MS, signal },
  );
  await core.transition("stopped", "restored", {
    disk,
    snapshot: null,
    machine: null,
    restoredFrom: hasMemory ? checkpointId : null,
    errorCode: null,
    ...(restoreId === null ? {} : { lastRestoreId: restoreId, lostMemory: null }),
  });
}

async function undo(
  core: WorkspaceCore,
  operation: RestoreInProgress,
  error: AtollError,
  signal: AbortSignal,
): Promise<void> {
  const { logger, clock } = core.dependencies;
  const { workspaceId } = core.record;
  logger.error({ workspaceId, code: error.code, err: error }, "restore failed, going back");
  try {
    await putBack(core, { checkpointId: operation.safetyCheckpointId, hasMemory: true }, null, signal);
  } catch (cause) {
    logger.error({ workspaceId, err: cause }, "the memory from before the restore cannot be used");
    // Its disk is as it was all the same.
    const lostMemory = { code: error.code, atMs: clock.now() };
    await core.transition("stopped", "restored", {
      machine: null,
      lostMemory,
      errorCode: error.code,
      operation: null,
    });
    return;
  }
  await runAgain(core, operation, signal);
}

async function runAgain(
  core: WorkspaceCore,
  { wasRunning }: RestoreInProgress,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (wasRunning) await startWorkspace(core, { reason: "restored", isOfRestore: true, signal });
  } finally {
    if (core.record.tombstone === null && core.record.operation !== null) {
      await core.update({ operation: null });
    }
  }
}

/**
 * After a restart of hostd: a restore whose safety checkpoint is stored is finished, any other is as if nobody had asked.
 * No machine has the disk open when this is called for one that is finished.
 */
export async function finishRestore(
  core: WorkspaceCore,
  operation: RestoreInProgress,
  signal: AbortSignal,
): Promise<void> {
  const restoreId = restoreIdOf(operation);
  try {
    if (core.record.lastRestoreId !== restoreId) {
      const { checkpoints } = await listCheckpoints(core, signal);
      const target = checkpoints.find(({ checkpointId }) => checkpointId === operation.checkpointId);
      if (target === undefined) throw new AtollError("checkpoint.not_found");
      await putBack(core, target, restoreId, signal);
    }
  } catch (cause) {
    await giveUp(core, toAtollError(cause));
    throw cause;
  }
  await runAgain(core, operation, signal);
}

/**
 * What is done from here on must not be undone by a restore that somebody asked for long ago. The disk is as it was, and
 * the safety checkpoint has the memory.
 */
async function giveUp(core: WorkspaceCore, error: AtollError): Promise<void> {
  if (core.record.tombstone !== null) return;
  await core.update({ operation: null, errorCode: error.code });
}

function restoreIdOf({ restoreId, safetyCheckpointId }: RestoreInProgress): string {
  return restoreId ?? safetyCheckpointId;
}
