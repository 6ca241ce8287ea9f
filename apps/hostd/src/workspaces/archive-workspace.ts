import type { WorkspaceCore } from "./workspace-core.ts";

/** Copies a whole disk. */
const ARCHIVE_TIMEOUT_MS = 1_800_000;

/** A stopped workspace's disk goes into its smallest form. Cut off at any point it is brought back by `unarchiveDisk`. */
export async function archiveWorkspace(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const { source, endCurrentViews } = core.dependencies;
  await core.during("archive", async () => {
    await endCurrentViews(core.record.workspaceId);
    await core.update({ isArchived: true });
    const disk = await core.step("archive", (bounded) => source.archive(core.request(bounded), core.disk), {
      timeoutMs: ARCHIVE_TIMEOUT_MS,
      signal,
    });
    await core.transition("archived", "retention", { disk, errorCode: null });
  });
}

/** The disk out of the archive, or out of a half-made one. */
export async function unarchiveDisk(core: WorkspaceCore, signal: AbortSignal): Promise<void> {
  const disk = await core.step(
    "unarchive",
    (bounded) => core.dependencies.source.unarchive(core.request(bounded), core.disk),
    { timeoutMs: ARCHIVE_TIMEOUT_MS, signal },
  );
  await core.update({ disk, isArchived: false });
}
