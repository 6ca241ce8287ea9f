import type { checkpointList, OwnerUsage } from "@atoll/protocol/hostd-api";
import type { z } from "zod";

type Timeline = z.infer<typeof checkpointList>;

/** One at a time: each is a walk through a directory, and nobody waits for milliseconds. */
export async function sumUsage(
  workspaces: readonly (() => Promise<Timeline>)[],
  templates: readonly (() => Promise<Timeline>)[],
): Promise<OwnerUsage> {
  const sum: OwnerUsage = {
    ...{ layerBytes: 0, snapshotBytes: 0, checkpointCount: 0, unknownCount: 0 },
    ...{ workspaceCount: workspaces.length, templateCount: templates.length },
  };
  const add = async (list: () => Promise<Timeline>, countsCheckpoints: boolean) => {
    try {
      const { usage, checkpoints } = await list();
      sum.layerBytes += usage.layerBytes;
      sum.snapshotBytes += usage.snapshotBytes;
      if (countsCheckpoints) sum.checkpointCount += checkpoints.length;
    } catch {
      sum.unknownCount += 1;
    }
  };
  for (const list of workspaces) await add(list, true);
  // A template's one point is not somebody's checkpoint.
  for (const list of templates) await add(list, false);
  return sum;
}
