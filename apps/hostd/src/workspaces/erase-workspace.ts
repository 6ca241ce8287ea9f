import { AtollError } from "@atoll/protocol/atoll-error";
import type { Erasure } from "@atoll/protocol/hostd-api";
import type { WorkspaceCore } from "./workspace-core.ts";

const DESTROY_TIMEOUT_MS = 120_000;

/**
 * Behind the tombstone: VM gone, key destroyed, data unlinked, evidence kept. Repeatable from any step. A machine that
 * cannot be ended does not save its key; but then nothing is said to be erased yet.
 */
export async function eraseWorkspace(core: WorkspaceCore): Promise<void> {
  const { record } = core;
  if (record.state === "erased") return;
  if (record.tombstone === null) throw new TypeError("erasing without a tombstone");
  const { requestedAtMs } = record.tombstone;
  const isDeadline = record.expiresAtMs !== null && requestedAtMs >= record.expiresAtMs;
  const reason = isDeadline ? "deadline" : "requested";
  core.setStage(undefined);
  if (record.state !== "deleting") {
    await core.transition("delete_begun", reason, { generation: record.generation + 1, operation: null });
  }
  const ending = await settled(core.endMachine(new AtollError("workspace.deleted")));
  const { keyCommitment, keyDestroyedAtMs, dataUnlinkedAtMs } = await core.step(
    "destroy",
    () => core.dependencies.source.destroy(record.workspaceId, record.ownerId, record.disk ?? undefined),
    { timeoutMs: DESTROY_TIMEOUT_MS, signal: new AbortController().signal },
  );
  if (ending !== undefined) throw ending.error;
  if (keyCommitment !== null && record.keyCommitment !== null && keyCommitment !== record.keyCommitment) {
    const { workspaceId } = record;
    core.dependencies.logger.error({ workspaceId }, "the key destroyed was not the one that was noted");
  }
  await core.transition("erased", reason, {
    tombstone: { requestedAtMs, keyDestroyedAtMs, dataUnlinkedAtMs },
    // The key store's, of what was destroyed: a create that failed half-way left a key that the record never named.
    keyCommitment: keyCommitment ?? record.keyCommitment,
    snapshot: null,
    restoredFrom: null,
    handshake: null,
    machine: null,
    lease: null,
    lastWork: null,
    errorCode: null,
  });
}

async function settled(work: Promise<void>): Promise<{ error: unknown } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** Undefined when no key was ever made: there is nothing whose destruction could be attested. */
export function erasureOf({
  workspaceId,
  keyCommitment,
  tombstone,
}: {
  workspaceId: string;
  keyCommitment: string | null;
  tombstone: {
    requestedAtMs: number;
    keyDestroyedAtMs: number | null;
    dataUnlinkedAtMs: number | null;
  } | null;
}): Erasure | undefined {
  if (keyCommitment === null || tombstone === null || tombstone.keyDestroyedAtMs === null) return undefined;
  return {
    workspaceId,
    keyCommitment,
    requestedAtMs: tombstone.requestedAtMs,
    keyDestroyedAtMs: tombstone.keyDestroyedAtMs,
    dataUnlinkedAtMs: tombstone.dataUnlinkedAtMs,
  };
}
