import { createWorkspace } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const createWorkspaceRoute: Route = {
  method: "PUT",
  path: "/v1/workspaces/:id",
  handle: async ({ id, body }, { workspaces }) =>
    (await workspaces.create(id, parseBody(createWorkspace, body))).status,
};
