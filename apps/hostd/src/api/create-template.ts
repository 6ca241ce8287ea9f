import { createTemplate } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const createTemplateRoute: Route = {
  method: "PUT",
  path: "/v1/templates/:id",
  handle: ({ id, body }, { workspaces }) => workspaces.templates.create(id, parseBody(createTemplate, body)),
};
