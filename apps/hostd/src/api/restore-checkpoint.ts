import { restoreCheckpoint } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const restoreCheckpointRoute: Route = {
  method: "POST",
  path: "/v1/workspaces/:id/restore",
  handle: async ({ id, body }, { workspaces }) => {
    const workspace = workspaces.get(id);
    await workspace.restore(parseBody(restoreCheckpoint, body));
    return workspace.status;
  },
};
