"use client";
import Link from "next/link";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { machineSize } from "#ui/machine-size.ts";
import { clockTime, relativeTime } from "#ui/relative-time.ts";
import { Tooltip } from "#ui/tooltip.tsx";
import { useNow } from "#ui/use-now.ts";
import { EGRESS_WORDS } from "./egress-words.ts";
import { IsolationBadge } from "./isolation-badge.tsx";
import { StatePill } from "./state-pill.tsx";
import { reasonWords, STATE_WORDS } from "./state-words.ts";
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
        <p className="truncate text-ink-faint text-xs">
          {machineSize(workspace)} · Network: {EGRESS_WORDS[workspace.egress].label.toLowerCase()}
        </p>
      </div>
      <div className="grid flex-[1_1_17rem] justify-items-start gap-1">
        <div className="flex flex-wrap items-center gap-2">
          <StatePill state={workspace.state} />
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

/** What comes next, or why it is like this. */
function StateNote({ workspace }: { workspace: WorkspaceView }) {
  const now = useNow(1000);
  const { state, sessionCount, pausesAtMs, reason } = workspace;
  const used = workspace.lastActiveAt.getTime();
  const lastUsed = now === undefined ? "…" : relativeTime(used, now);
  let note = `Last used ${lastUsed}`;
  if (state === "running" && pausesAtMs !== undefined && now !== undefined)
    note = `Pauses in ${clockTime(pausesAtMs - now)}`;
  else if (sessionCount > 0) note = sessionCount === 1 ? "Open in 1 tab" : `Open in ${sessionCount} tabs`;
  return (
    <Tooltip
      content={
        <>
          {reasonWords(state, reason)} Last used {new Date(used).toLocaleString()}
        </>
      }
    >
      <button
        type="button"
        className="cursor-default rounded-sm text-left text-ink-faint text-xs tabular-nums"
      >
        {note}
      </button>
    </Tooltip>
  );
}
