import { lifecycleCommand } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const resumeWorkspaceRoute: Route = {
  method: "POST",
  path: "/v1/workspaces/:id/resume",
  handle: async ({ id, body }, { workspaces }) => {
    const { generation } = parseBody(lifecycleCommand, body ?? {});
    const workspace = workspaces.get(id);
    await workspace.start("requested", generation);
    return workspace.status;
  },
};
