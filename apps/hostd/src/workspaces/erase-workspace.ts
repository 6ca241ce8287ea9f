import { AtollError } from "@atoll/protocol/atoll-error";
import type { Erasure } from "@atoll/protocol/hostd-api";
import type { WorkspaceCore } from "./workspace-core.ts";

/** Behind the tombstone: VM gone, key destroyed, data unlinked, evidence kept. Repeatable from any step. */
export async function eraseWorkspace(core: WorkspaceCore): Promise<void> {
  const { record } = core;
  if (record.state === "erased") return;
  if (record.tombstone === null) throw new TypeError("erasing without a tombstone");
  const machine = core.detach(new AtollError("workspace.deleted"));
  core.setStage(undefined);
  if (record.state !== "deleting") {
    await core.transition("delete_begun", "requested", { generation: record.generation + 1 });
  }
  await machine?.kill();
  const { keyDestroyedAtMs, dataUnlinkedAtMs } = await core.dependencies.source.destroy(
    record.workspaceId,
    record.ownerId,
    record.disk ?? undefined,
  );
  await core.transition("erased", "requested", {
    tombstone: { requestedAtMs: record.tombstone.requestedAtMs, keyDestroyedAtMs, dataUnlinkedAtMs },
    snapshot: null,
    machine: null,
    errorCode: null,
  });
}

/** Undefined when no key was ever made: there is nothing whose destruction could be attested. */
export function erasureOf(core: WorkspaceCore): Erasure | undefined {
  const { workspaceId, keyCommitment, tombstone } = core.record;
  if (keyCommitment === null || tombstone === null || tombstone.keyDestroyedAtMs === null) return undefined;
  return {
    workspaceId,
    keyCommitment,
    requestedAtMs: tombstone.requestedAtMs,
    keyDestroyedAtMs: tombstone.keyDestroyedAtMs,
    dataUnlinkedAtMs: tombstone.dataUnlinkedAtMs,
  };
}
