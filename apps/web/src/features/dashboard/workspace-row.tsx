"use client";
import Link from "next/link";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { machineSize } from "#ui/machine-size.ts";
import { relativeTime } from "#ui/relative-time.ts";
import { useNow } from "#ui/use-now.ts";
import { stateStory } from "../lifecycle/state-story.ts";
import { EGRESS_WORDS } from "./egress-words.ts";
import { IsolationBadge } from "./isolation-badge.tsx";
import { OperationPill, StatePill } from "./state-pill.tsx";
import { STATE_WORDS } from "./state-words.ts";
import { WorkspaceMenu } from "./workspace-menu.tsx";

export function WorkspaceRow({ workspace }: { workspace: WorkspaceView }) {
  const { action } = STATE_WORDS[workspace.state];
  const isDeleting = workspace.state === "deleting";
  return (
    <li
      aria-label={workspace.name}
      className="group flex flex-wrap items-center gap-x-6 gap-y-3 px-5 py-4 transition-colors hover:bg-hover/50"
    >
      <div className="grid min-w-0 flex-[1_1_16rem] gap-0.5">
        <Link
          href={`/w/${workspace.slug}`}
          className="truncate rounded-sm font-semibold text-ink underline-offset-4 hover:underline"
        >
          {workspace.name}
        </Link>
        <p className="truncate text-ink-faint text-xs">{machineSize(workspace)}</p>
        <p className="truncate text-ink-faint text-xs">
          Network: {EGRESS_WORDS[workspace.egress].label.toLowerCase()}
          <LastUsed atMs={workspace.lastActiveAt.getTime()} />
        </p>
      </div>
      <div className="grid flex-[1_1_19rem] justify-items-start gap-1">
        <div className="flex flex-wrap items-center gap-2">
          <StatePill state={workspace.state} reason={workspace.reason} />
          {workspace.operation ? <OperationPill kind={workspace.operation.kind} /> : null}
          {workspace.isolation ? <IsolationBadge isolation={workspace.isolation} /> : null}
        </div>
        <StateNote workspace={workspace} />
      </div>
      <div className="flex items-center gap-1.5">
        <Button asChild={!isDeleting} tone="plain" disabled={isDeleting} className="min-w-20">
          {isDeleting ? (
            "Open"
          ) : (
            <Link href={`/w/${workspace.slug}`} aria-label={`${action} ${workspace.name}`}>
              {action}
            </Link>
          )}
        </Button>
        <WorkspaceMenu workspace={workspace} />
      </div>
    </li>
  );
}

/** Why it sleeps is no fault; why its last start failed is told beside it. */
const ASLEEP: ReadonlySet<WorkspaceView["state"]> = new Set(["paused", "stopped", "archived"]);

/** Since when, why and what comes next; the first line is always there, so nothing jumps when the clock arrives. */
function StateNote({ workspace }: { workspace: WorkspaceView }) {
  const now = useNow(1000);
  if (now === undefined) return <p className="text-ink-faint text-xs">…</p>;
  const story = stateStory(workspace, now);
  const { sessionCount, state, errorCode } = workspace;
  const tabs = sessionCount === 1 ? "open in 1 tab" : `open in ${sessionCount} tabs`;
  return (
    <div className="grid gap-0.5 text-ink-faint text-xs tabular-nums">
      <p>
        {story.now}
        {sessionCount > 0 ? `, ${tabs}` : ""}
      </p>
      {story.why ? (
        <p className="text-pretty">
          {story.why} {errorCode && !ASLEEP.has(state) ? <ErrorCode code={errorCode} /> : null}
        </p>
      ) : null}
      {errorCode && ASLEEP.has(state) ? (
        <p className="text-pretty text-ink-soft">
          {failureOf(errorCode).what} {failureOf(errorCode).now} <ErrorCode code={errorCode} />
        </p>
      ) : null}
      {story.next.map((line) => (
        <p key={line.split(" ")[0]} className="text-ink-soft">
          {line}
        </p>
      ))}
    </div>
  );
}

function ErrorCode({ code }: { code: string }) {
  return <span className="font-mono text-2xs text-ink-soft">{code}</span>;
}

function LastUsed({ atMs }: { atMs: number }) {
  const now = useNow(30_000);
  return now === undefined ? null : ` · used ${relativeTime(atMs, now)}`;
}
