import type { Route } from "./route.ts";

export const ownerUsageRoute: Route = {
  method: "GET",
  path: "/v1/owners/:id/usage",
  handle: ({ id }, { workspaces }) => workspaces.usageOf(id),
};
