import type { Route } from "./route.ts";

export const listTombstonesRoute: Route = {
  method: "GET",
  path: "/v1/tombstones",
  handle: (_request, { workspaces }) => ({ tombstones: workspaces.tombstones() }),
};
