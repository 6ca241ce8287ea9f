import { lifecycleCommand } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const stopWorkspaceRoute: Route = {
  method: "POST",
  path: "/v1/workspaces/:id/stop",
  handle: async ({ id, body }, { workspaces }) => {
    const { generation } = parseBody(lifecycleCommand, body ?? {});
    const workspace = workspaces.get(id);
    await workspace.stop("requested", generation);
    return workspace.status;
  },
};
