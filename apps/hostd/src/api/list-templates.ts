import type { Route } from "./route.ts";

export const listTemplatesRoute: Route = {
  method: "GET",
  path: "/v1/templates",
  handle: (_request, { workspaces }) => ({ templates: workspaces.templates.list() }),
};
