"use client";
import { Pause, Power } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { type Failure, failureOf, toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { reasonWords } from "../dashboard/state-words.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";
import { RefusalCard } from "./refusal-card.tsx";
import { StartCard } from "./start-card.tsx";
import { useStartMachine, useStartProgress } from "./use-start.ts";

/** Over the layout while the machine is not there: says what is going on and what can be done. */
export function Curtain({ workspace }: { workspace: WorkspaceView }) {
  const { connection } = useModels();
  const { phase, status, wasLinked } = useModelState(connection.state);
  const start = useStartMachine(workspace.id, workspace.state === "unstarted");
  const progress = useStartProgress();
  // A lost connection alone hides nothing: the banner says it and the text stays editable.
  const isOnlyOffline = wasLinked && status?.state === "running" && phase.name !== "refused";
  if (isOnlyOffline || (phase.name === "connected" && status?.state === "running")) return null;
  return (
    <div className="absolute inset-0 z-30 grid animate-fade place-items-center overflow-y-auto bg-overlay/30 p-6 backdrop-blur-[2px]">
      <div className="w-full max-w-md rounded-xl border border-line bg-raised p-6 shadow-high">
        {content()}
      </div>
    </div>
  );

  function content(): ReactNode {
    if (start.isError) return <StartFailed failure={toFailure(start.error)} onRetry={again} />;
    if (phase.name === "refused" && !start.isPending)
      return <RefusalCard error={phase.error} workspace={workspace} />;
    switch (status?.state) {
      case "failed":
        return <StartFailed failure={failureOf(status.errorCode ?? "workspace.failed")} onRetry={again} />;
      case "creating":
      case "resuming":
        return progress ? <StartCard progress={progress} /> : <Waiting text="Starting" />;
      case "pausing":
        return <Waiting text="Pausing: memory is being sealed to disk" />;
      case "stopping":
        return <Waiting text="Stopping" />;
      case "paused":
      case "stopped":
      case "archived":
        return wasLinked && phase.name === "connected" ? (
          <Asleep
            state={status.state}
            text={reasonWords(status.state, status.reason)}
            sinceMs={status.sinceMs}
            onWake={() => connection.wake()}
          />
        ) : (
          <Waiting text="Waking the machine" />
        );
      case "deleting":
      case "erased":
        return <StartFailed failure={failureOf("workspace.deleted")} />;
    }
    if (phase.name === "waiting") return <Waiting text="The gateway does not answer; trying again" />;
    return <Waiting text="Connecting" />;
  }

  function again(): void {
    start.mutate({ id: workspace.id });
  }
}

function Waiting({ text }: { text: string }) {
  return (
    <p role="status" className="flex items-center gap-3 font-medium">
      <Spinner className="size-4 text-accent" />
      {text}…
    </p>
  );
}

interface AsleepProps {
  state: string;
  text: string | undefined;
  sinceMs: number;
  onWake: () => void;
}

function Asleep({ state, text, sinceMs, onWake }: AsleepProps) {
  const isPaused = state === "paused";
  const at = new Date(sinceMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const Icon = isPaused ? Pause : Power;
  return (
    <div className="grid justify-items-start gap-1">
      <span className="mb-3 grid size-9 place-items-center rounded-lg bg-warn-soft text-warn">
        <Icon aria-hidden className="size-4.5" />
      </span>
      <h2 className="font-semibold text-lg">
        {isPaused ? "Paused" : "Stopped"} at {at}
      </h2>
      <p className="text-ink-soft text-sm">{isPaused ? `Nothing was lost. ${text ?? ""}` : text}</p>
      <div className="mt-5 flex gap-2">
        <Button tone="primary" onClick={onWake} autoFocus>
          {isPaused ? "Resume" : "Start"}
        </Button>
        <Button asChild tone="ghost">
          <Link href="/">Your workspaces</Link>
        </Button>
      </div>
    </div>
  );
}

function StartFailed({ failure, onRetry }: { failure: Failure; onRetry?: () => void }) {
  return (
    <div className="grid gap-4">
      <FailureNote failure={failure} />
      <div className="flex gap-2">
        {onRetry ? (
          <Button tone="primary" onClick={onRetry}>
            Start again
          </Button>
        ) : null}
        <Button asChild>
          <Link href="/">Your workspaces</Link>
        </Button>
      </div>
    </div>
  );
}
