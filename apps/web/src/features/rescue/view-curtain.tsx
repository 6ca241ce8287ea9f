"use client";
import Link from "next/link";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import type { Connection } from "../connection/connection.ts";
import { useModelState } from "../use-model-state.ts";

export interface ViewCurtainProps {
  connection: Connection;
  workspace: WorkspaceView;
  checkpointId: string | null;
}

/** Until the stored disk is open, and when it cannot be. */
export function ViewCurtain({ connection, workspace, checkpointId }: ViewCurtainProps) {
  const { phase, wasLinked } = useModelState(connection.state);
  if (phase.name === "connected") return null;
  const error = phase.name === "waiting" || phase.name === "refused" ? phase.error : undefined;
  // Right after a pause the machine still holds its disk; trying again is all it takes.
  const isSettling =
    checkpointId === null &&
    (workspace.state === "pausing" || (workspace.state === "paused" && workspace.pausedIn === "memory"));
  const isExpected = error?.code === "link.lost" || (isSettling && error?.code === "view.unavailable");
  const failure = error && !isExpected ? failureOf(error.code, error.details) : undefined;
  return (
    <div className="absolute inset-0 z-30 grid animate-fade place-items-center overflow-y-auto bg-overlay/30 p-6 backdrop-blur-[2px]">
      <div className="grid w-full max-w-md gap-4 rounded-xl border border-line bg-raised p-6 shadow-high">
        {failure ? (
          <>
            <FailureNote failure={failure} />
            {workspace.state === "running" && checkpointId === null ? (
              <p className="text-ink-soft text-sm">
                It is running: its files are in the workbench. To look at an earlier state, choose a
                checkpoint above.
              </p>
            ) : null}
            <div className="flex flex-wrap gap-2">
              <Button tone="primary" onClick={() => connection.reconnectNow()}>
                Try again
              </Button>
              <Button asChild>
                <Link href={`/w/${workspace.slug}`}>Open workspace</Link>
              </Button>
              <Button asChild tone="ghost">
                <Link href="/">Your workspaces</Link>
              </Button>
            </div>
          </>
        ) : (
          <p role="status" className="flex items-center gap-3 font-medium">
            <Spinner className="size-4 text-accent" />
            {waitingWords({ wasLinked, isSettling, checkpointId })}
          </p>
        )}
      </div>
    </div>
  );
}

function waitingWords(facts: {
  wasLinked: boolean;
  isSettling: boolean;
  checkpointId: string | null;
}): string {
  if (facts.isSettling)
    return "Paused a moment ago, so its memory is still in place. The disk opens as soon as that is sealed…";
  if (facts.wasLinked) return "The connection was lost; opening the files again…";
  return facts.checkpointId === null ? "Opening the stored disk…" : "Opening the checkpoint…";
}
