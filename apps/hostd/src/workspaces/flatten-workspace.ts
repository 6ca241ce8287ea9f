import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { listCheckpoints } from "./checkpoint-workspace.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** Copies a disk at low speed. Cut off at any point its content is the same. */
const FLATTEN_TIMEOUT_MS = 3_600_000;

/** When its disk has more layers than is good for it: fewer, with the same content. */
export async function flattenWorkspace(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const { state, disk, isArchived } = core.record;
  if (disk === null || isArchived || (state !== "running" && state !== "stopped")) return;
  const { usage } = await listCheckpoints(core, signal);
  if (usage.layerCount < DISK_LAYERS_FLATTEN) return;
  await core.during("flatten", async () => {
    const flat = await core.step(
      "flatten",
      (bounded) => core.dependencies.source.flatten(core.request(bounded), core.disk, core.machine),
      { timeoutMs: FLATTEN_TIMEOUT_MS, signal },
    );
    await core.update({ disk: flat });
  });
}
