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
    // The rest comes from the plan, not from somebody at work.
    if (patch.egress !== undefined) {
      presetChanged(id);
      workspace.meter.markApi("another network setting");
    }
    return workspace.status;
  },
};
