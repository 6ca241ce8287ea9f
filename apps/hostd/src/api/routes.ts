import { createWorkspaceRoute } from "./create-workspace.ts";
import { deleteOwnerRoute } from "./delete-owner.ts";
import { deleteWorkspaceRoute } from "./delete-workspace.ts";
import { eventsRoute } from "./events.ts";
import { getWorkspaceRoute } from "./get-workspace.ts";
import { healthRoute } from "./health.ts";
import { listWorkspacesRoute } from "./list-workspaces.ts";
import { pauseWorkspaceRoute } from "./pause-workspace.ts";
import { resumeWorkspaceRoute } from "./resume-workspace.ts";
import { revokeSessionsRoute } from "./revoke-sessions.ts";
import type { Route } from "./route.ts";
import { stopWorkspaceRoute } from "./stop-workspace.ts";
import { updateWorkspaceRoute } from "./update-workspace.ts";

export const ROUTES: readonly Route[] = [
  createWorkspaceRoute,
  deleteOwnerRoute,
  deleteWorkspaceRoute,
  eventsRoute,
  getWorkspaceRoute,
  healthRoute,
  listWorkspacesRoute,
  pauseWorkspaceRoute,
  resumeWorkspaceRoute,
  revokeSessionsRoute,
  stopWorkspaceRoute,
  updateWorkspaceRoute,
];
