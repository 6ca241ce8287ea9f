import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";

export type OperationKind = NonNullable<WorkspaceStatus["operation"]>["kind"];

export const OPERATION_WORDS: Record<OperationKind, string> = {
  checkpoint: "Making a checkpoint",
  restore: "Restoring a checkpoint",
  fork: "Being copied",
  flatten: "Tidying its disk",
  archive: "Being packed away",
  template: "Becoming a template",
};
