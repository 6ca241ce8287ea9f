import { createWorkspace } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const createWorkspaceRoute: Route = {
  method: "PUT",
  path: "/v1/workspaces/:id",
  handle: async ({ id, body }, { workspaces }) => {
    const wish = parseBody(createWorkspace, body);
    const { origin } = wish;
    if (origin?.kind === "workspace" && workspaces.find(id) === undefined) {
      workspaces.find(origin.workspaceId)?.meter.markApi("a fork");
    }
    return (await workspaces.create(id, wish)).status;
  },
};
