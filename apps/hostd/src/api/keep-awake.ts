import { keepAwake } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const keepAwakeRoute: Route = {
  method: "POST",
  path: "/v1/workspaces/:id/keep-awake",
  handle: async ({ id, body }, { workspaces }) => {
    const workspace = workspaces.get(id);
    await workspace.keepAwake(parseBody(keepAwake, body).seconds);
    return workspace.status;
  },
};
