import type { Route } from "./route.ts";

export const publishTemplateRoute: Route = {
  method: "POST",
  path: "/v1/templates/:id/publish",
  handle: ({ id }, { workspaces }) => workspaces.templates.publish(id),
};
