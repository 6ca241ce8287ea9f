import type { Route } from "./route.ts";

export const deleteWorkspaceRoute: Route = {
  method: "DELETE",
  path: "/v1/workspaces/:id",
  handle: async ({ id }, { workspaces }) => ({
    erasures: await workspaces.erase(id),
    ownerKeyCommitment: null,
    ownerKeyDestroyedAtMs: null,
  }),
};
