import { updateWorkspace } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const updateWorkspaceRoute: Route = {
  method: "PATCH",
  path: "/v1/workspaces/:id",
  handle: async ({ id, body }, { workspaces }) => {
    const workspace = workspaces.get(id);
    await workspace.update(parseBody(updateWorkspace, body));
    return workspace.status;
  },
};
