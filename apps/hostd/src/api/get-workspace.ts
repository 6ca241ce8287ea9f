import type { Route } from "./route.ts";

export const getWorkspaceRoute: Route = {
  method: "GET",
  path: "/v1/workspaces/:id",
  handle: ({ id }, { workspaces }) => workspaces.get(id).status,
};
