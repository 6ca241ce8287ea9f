import { toAtollError } from "@atoll/protocol/atoll-error";
import type { CreateOutcome } from "#server/domain/workspace/create-workspace.ts";
import { type WorkspaceView, workspaceView } from "#server/domain/workspace/workspace-view.ts";
import type { SignedInContext } from "#server/trpc/trpc.ts";

export interface StartAnswer {
  workspace: WorkspaceView;
  startErrorCode: string | undefined;
}

/** What create and fork answer: the row is there whether or not its machine was started. */
export function startAnswer(ctx: SignedInContext, { workspace, startError }: CreateOutcome): StartAnswer {
  const { statuses } = ctx.process;
  return {
    workspace: workspaceView(workspace, statuses.latest(workspace.id), statuses.isHostReachable),
    startErrorCode: startError === undefined ? undefined : toAtollError(startError).code,
  };
}
