import type { Route } from "./route.ts";

export const getTemplateRoute: Route = {
  method: "GET",
  path: "/v1/templates/:id",
  handle: ({ id }, { workspaces }) => workspaces.templates.get(id),
};
