"use client";
import { Pause, Power } from "lucide-react";
import Link from "next/link";
import { type ReactNode, useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { dateWords } from "#ui/date-words.ts";
import { type Failure, failureOf, toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { useNow } from "#ui/use-now.ts";
import { OPERATION_WORDS } from "../lifecycle/operation-words.ts";
import { type StoryFacts, stateStory } from "../lifecycle/state-story.ts";
import { INTO_WORKSPACE } from "../lifecycle/typing-signal.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";
import { RefusalCard } from "./refusal-card.tsx";
import { StartCard } from "./start-card.tsx";
import { useStartMachine, useStartProgress } from "./use-start.ts";

/** Over the layout while the machine is not there: says what is going on and what can be done. */
export function Curtain({ workspace }: { workspace: WorkspaceView }) {
  const { connection } = useModels();
  const { phase, status, wasLinked, isWaking, wakeError } = useModelState(connection.state);
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
    const files = `/w/${workspace.slug}/files`;
    if (start.isError)
      return <StartFailed failure={toFailure(start.error)} onRetry={again} filesHref={files} />;
    if (phase.name === "refused" && !start.isPending)
      return <RefusalCard error={phase.error} workspace={workspace} />;
    if (status?.operation?.kind === "restore" && !progress?.steps.length)
      return <Waiting text={OPERATION_WORDS.restore} />;
    switch (status?.state) {
      case "failed":
        return (
          <StartFailed
            failure={failureOf(status.errorCode ?? "workspace.failed")}
            onRetry={again}
            filesHref={files}
          />
        );
      case "creating":
      case "resuming":
        return progress ? <StartCard progress={progress} /> : <Waiting text="Starting" />;
      case "pausing":
        return <Waiting text="Pausing: programs and memory are kept" />;
      case "stopping":
        return <Waiting text="Stopping" />;
      case "paused":
      case "stopped":
      case "archived":
        return phase.name === "connected" && !isWaking ? (
          <Asleep
            facts={status}
            failure={wakeError ? toFailure(wakeError) : undefined}
            filesHref={files}
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
  facts: StoryFacts;
  /** Why it did not wake when it was asked to. */
  failure: Failure | undefined;
  filesHref: string;
  onWake: () => void;
}

/** Why it sleeps and what comes next. It stays so until somebody asks: an open tab alone wakes nothing. */
function Asleep({ facts, failure, filesHref, onWake }: AsleepProps) {
  const now = useNow(10_000);
  // Somebody may be in the middle of a word: their keys are kept, and wake it.
  const [isTyping] = useState(() => document.activeElement?.closest(INTO_WORKSPACE) != null);
  const isPaused = facts.state === "paused";
  const Icon = isPaused ? Pause : Power;
  const nowMs = now ?? facts.sinceMs;
  const story = stateStory(facts, nowMs);
  const fault = failure ?? (facts.errorCode ? failureOf(facts.errorCode) : undefined);
  const word = isPaused ? "Paused" : facts.state === "archived" ? "Archived" : "Stopped";
  return (
    <div role="status" className="grid justify-items-start gap-1">
      <span className="mb-3 grid size-9 place-items-center rounded-lg bg-warn-soft text-warn">
        <Icon aria-hidden className="size-4.5" />
      </span>
      <h2 className="font-semibold text-lg">
        {word} at {dateWords(facts.sinceMs, nowMs)}
      </h2>
      <p className="text-ink-soft text-sm">
        {isPaused ? "Nothing was lost. " : ""}
        {story.why}
      </p>
      {isPaused ? (
        <p className="text-ink-soft text-sm">
          {facts.pausedIn === "memory"
            ? "Its memory is still in place: resuming is instant."
            : "Its memory is sealed on disk; programs go on where they were."}
        </p>
      ) : null}
      {isTyping ? (
        <p className="text-ink-soft text-sm">Go on typing to wake it; the editor keeps what you write.</p>
      ) : null}
      {story.next.map((line) => (
        <p key={line.split(" ")[0]} className="text-ink-faint text-xs">
          {line}
        </p>
      ))}
      {fault ? <FailureNote failure={fault} className="mt-3 w-full" /> : null}
      <div className="mt-5 flex flex-wrap gap-2">
        <Button tone="primary" onClick={onWake} autoFocus={!isTyping}>
          {isPaused ? "Resume" : "Start"}
        </Button>
        <Button asChild>
          <Link href={filesHref}>Browse files</Link>
        </Button>
        <Button asChild tone="ghost">
          <Link href="/">Your workspaces</Link>
        </Button>
      </div>
    </div>
  );
}

interface StartFailedProps {
  failure: Failure;
  onRetry?: () => void;
  filesHref?: string;
}

function StartFailed({ failure, onRetry, filesHref }: StartFailedProps) {
  return (
    <div className="grid gap-4">
      <FailureNote failure={failure} />
      <div className="flex flex-wrap gap-2">
        {onRetry ? (
          <Button tone="primary" onClick={onRetry}>
            Start again
          </Button>
        ) : null}
        {filesHref ? (
          <Button asChild>
            <Link href={filesHref}>Browse files</Link>
          </Button>
        ) : null}
        <Button asChild tone={filesHref ? "ghost" : "plain"}>
          <Link href="/">Your workspaces</Link>
        </Button>
      </div>
    </div>
  );
}
