import type { Route } from "./route.ts";

export const deleteTemplateRoute: Route = {
  method: "DELETE",
  path: "/v1/templates/:id",
  handle: async ({ id }, { workspaces }) => ({
    erasures: await workspaces.templates.erase(id),
    ownerKeyCommitment: null,
    ownerKeyDestroyedAtMs: null,
  }),
};
