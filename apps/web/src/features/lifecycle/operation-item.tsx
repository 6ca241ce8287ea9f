"use client";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { Spinner } from "#ui/spinner.tsx";
import { useNow } from "#ui/use-now.ts";
import { OPERATION_WORDS } from "./operation-words.ts";

/** What the host is doing with the workspace and for how long: time only grows, nothing pretends to know the end. */
export function OperationItem({ operation }: { operation: NonNullable<WorkspaceStatus["operation"]> }) {
  const now = useNow(1000);
  const seconds = now === undefined ? 0 : Math.max(0, Math.floor((now - operation.startedAtMs) / 1000));
  return (
    <span
      role="status"
      aria-label="Operation"
      className="flex shrink-0 items-center gap-1.5 px-1.5 text-info"
    >
      <Spinner className="size-3" />
      {OPERATION_WORDS[operation.kind]}
      <span aria-hidden className="tabular-nums">
        {seconds} s
      </span>
    </span>
  );
}
