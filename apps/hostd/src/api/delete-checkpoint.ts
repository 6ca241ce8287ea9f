import type { Route } from "./route.ts";

export const deleteCheckpointRoute: Route = {
  method: "DELETE",
  path: "/v1/workspaces/:id/checkpoints/:childId",
  work: "a deleted checkpoint",
  handle: async ({ id, childId }, { workspaces, checkpointDeleted }) => {
    await workspaces.get(id).deleteCheckpoint(childId);
    await checkpointDeleted(id, childId);
    return {};
  },
};
