import { createCheckpoint } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const createCheckpointRoute: Route = {
  method: "PUT",
  path: "/v1/workspaces/:id/checkpoints/:childId",
  work: "a checkpoint",
  handle: ({ id, childId, body }, { workspaces }) =>
    workspaces.get(id).checkpoint(childId, parseBody(createCheckpoint, body)),
};
