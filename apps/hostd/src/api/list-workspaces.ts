import type { Route } from "./route.ts";

export const listWorkspacesRoute: Route = {
  method: "GET",
  path: "/v1/workspaces",
  handle: (_request, { workspaces }) => ({ workspaces: workspaces.statuses() }),
};
