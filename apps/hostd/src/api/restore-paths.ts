import { AtollError } from "@atoll/protocol/atoll-error";
import { restorePaths } from "@atoll/protocol/hostd-api";
import { SAFETY_NAME } from "../workspaces/restore-workspace.ts";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

/** A thousand paths, each of PATH_MAX_BYTES at most. */
const BODY_MAX_BYTES = 5 * 1024 * 1024;

export const restorePathsRoute: Route = {
  method: "POST",
  path: "/v1/workspaces/:id/restore-paths",
  work: "files restored",
  bodyMaxBytes: BODY_MAX_BYTES,
  handle: async ({ id, body }, { workspaces, restorePaths: restore }) => {
    const { checkpointId, safetyCheckpointId, paths } = parseBody(restorePaths, body);
    const workspace = workspaces.get(id);
    const { checkpoints } = await workspace.listCheckpoints();
    if (!checkpoints.some((one) => one.checkpointId === checkpointId)) {
      throw new AtollError("checkpoint.not_found");
    }
    // Its own guest takes the files, with its owners, rights and disk as they are.
    if (workspace.guest === undefined) await workspace.start("requested");
    const safety = { name: SAFETY_NAME, kind: "safety", withMemory: false } as const;
    await workspace.checkpoint(safetyCheckpointId, safety);
    const { restoredBytes } = await restore(workspace, { checkpointId, paths });
    return { restoredBytes };
  },
};
