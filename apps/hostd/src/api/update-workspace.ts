import { updateWorkspace } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const updateWorkspaceRoute: Route = {
  method: "PATCH",
  path: "/v1/workspaces/:id",
  handle: async ({ id, body }, { workspaces, presetChanged }) => {
    const workspace = workspaces.get(id);
    const patch = parseBody(updateWorkspace, body);
    await workspace.update(patch);
    if (patch.egress !== undefined) presetChanged(id);
    return workspace.status;
  },
};
