import type { Route } from "./route.ts";

export const listCheckpointsRoute: Route = {
  method: "GET",
  path: "/v1/workspaces/:id/checkpoints",
  handle: ({ id }, { workspaces }) => workspaces.get(id).listCheckpoints(),
};
