import { LiveWorkspace } from "./live-workspace.ts";
import { newRequest, type TestSource } from "./test-source.ts";

/**
 * A running workspace with a checkpoint that others begin at, whose memory stands on no template, as a made template's does.
 * @param prepare what its guest does before that
 */
export async function templateForMany(
  { source }: TestSource,
  prepare: (workspace: LiveWorkspace) => Promise<unknown> = async () => {},
) {
  await source.sweep(new Set());
  const workspace = await LiveWorkspace.create(source, newRequest());
  await workspace.stop();
  await workspace.boot({ isForMany: true });
  await prepare(workspace);
  const checkpointId = await workspace.checkpoint();
  const open = () => source.openCheckpoint(workspace.owner, checkpointId, { isForMany: true });
  const begin = async () => {
    await using point = await open();
    // Awaited here: the point is disposed of when this returns.
    return await workspace.fork(newRequest(), point);
  };
  return { workspace, checkpointId, open, begin };
}
