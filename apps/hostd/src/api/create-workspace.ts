import { AtollError } from "@atoll/protocol/atoll-error";
import { createWorkspace } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const createWorkspaceRoute: Route = {
  method: "PUT",
  path: "/v1/workspaces/:id",
  handle: async ({ id, body }, { workspaces, allowsSize }) => {
    const wish = parseBody(createWorkspace, body);
    const { origin } = wish;
    const isNew = workspaces.find(id) === undefined;
    if (isNew && origin === undefined && !allowsSize(wish)) throw new AtollError("plan.size_unknown");
    if (isNew && origin?.kind === "workspace") {
      workspaces.find(origin.workspaceId)?.meter.markApi("a fork");
    }
    return (await workspaces.create(id, wish)).status;
  },
};
