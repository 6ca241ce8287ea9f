import { createCheckpointRoute } from "./create-checkpoint.ts";
import { createTemplateRoute } from "./create-template.ts";
import { createWorkspaceRoute } from "./create-workspace.ts";
import { deleteCheckpointRoute } from "./delete-checkpoint.ts";
import { deleteOwnerRoute } from "./delete-owner.ts";
import { deleteTemplateRoute } from "./delete-template.ts";
import { deleteWorkspaceRoute } from "./delete-workspace.ts";
import { eventsRoute } from "./events.ts";
import { getTemplateRoute } from "./get-template.ts";
import { getWorkspaceRoute } from "./get-workspace.ts";
import { healthRoute } from "./health.ts";
import { keepAwakeRoute } from "./keep-awake.ts";
import { listCheckpointsRoute } from "./list-checkpoints.ts";
import { listTemplatesRoute } from "./list-templates.ts";
import { listTombstonesRoute } from "./list-tombstones.ts";
import { listWorkspacesRoute } from "./list-workspaces.ts";
import { ownerUsageRoute } from "./owner-usage.ts";
import { pauseWorkspaceRoute } from "./pause-workspace.ts";
import { publishTemplateRoute } from "./publish-template.ts";
import { restoreCheckpointRoute } from "./restore-checkpoint.ts";
import { restorePathsRoute } from "./restore-paths.ts";
import { resumeWorkspaceRoute } from "./resume-workspace.ts";
import { revokeSessionsRoute } from "./revoke-sessions.ts";
import type { Route } from "./route.ts";
import { stopWorkspaceRoute } from "./stop-workspace.ts";
import { updateWorkspaceRoute } from "./update-workspace.ts";

export const ROUTES: readonly Route[] = [
  createCheckpointRoute,
  createTemplateRoute,
  createWorkspaceRoute,
  deleteCheckpointRoute,
  deleteOwnerRoute,
  deleteTemplateRoute,
  deleteWorkspaceRoute,
  eventsRoute,
  getTemplateRoute,
  getWorkspaceRoute,
  healthRoute,
  keepAwakeRoute,
  listCheckpointsRoute,
  listTemplatesRoute,
  listTombstonesRoute,
  listWorkspacesRoute,
  ownerUsageRoute,
  pauseWorkspaceRoute,
  publishTemplateRoute,
  restoreCheckpointRoute,
  restorePathsRoute,
  resumeWorkspaceRoute,
  revokeSessionsRoute,
  stopWorkspaceRoute,
  updateWorkspaceRoute,
];
