import type { Route } from "./route.ts";

export const deleteOwnerRoute: Route = {
  method: "DELETE",
  path: "/v1/owners/:id",
  handle: ({ id }, { workspaces }) => workspaces.eraseOwner(id),
};
