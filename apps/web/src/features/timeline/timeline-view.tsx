"use client";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { Plus, Undo2, X } from "lucide-react";
import { useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { dateWords } from "#ui/date-words.ts";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Tooltip } from "#ui/tooltip.tsx";
import { useNow } from "#ui/use-now.ts";
import { ForkDialog } from "../dashboard/fork-dialog.tsx";
import { MakeTemplateDialog } from "../templates/make-template-dialog.tsx";
import { SidePane } from "../workbench/side-pane.tsx";
import type { WorkbenchState } from "../workbench/workbench-state.ts";
import { CheckpointRow } from "./checkpoint-row.tsx";
import { DeleteCheckpointDialog } from "./delete-checkpoint-dialog.tsx";
import { NewCheckpointForm } from "./new-checkpoint-form.tsx";
import { RestoreDialog } from "./restore-dialog.tsx";
import { suggestedName, type TimelineFilter, timelineRows, undoOf } from "./timeline-model.ts";
import { useRestore, useTimeline } from "./use-timeline.ts";

type Asked = { what: "restore" | "delete" | "fork" | "template"; checkpoint: CheckpointInfo };

const FILTERS: Array<{ value: TimelineFilter; label: string }> = [
  { value: "all", label: "All checkpoints" },
  { value: "named", label: "Named ones" },
  { value: "automatic", label: "Automatic ones" },
  { value: "safety", label: "From before restores" },
];

export function TimelineView({ workspace, state }: { workspace: WorkspaceView; state: WorkbenchState }) {
  const { data, error, refetch } = useTimeline(workspace.id);
  const restore = useRestore(workspace.id);
  const now = useNow(30_000) ?? Date.now();
  const [isNaming, setNaming] = useState(false);
  const [filter, setFilter] = useState<TimelineFilter>("all");
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  const checkpoints = data?.checkpoints ?? [];
  const undo = undoOf(state.undo, checkpoints);
  const rows = timelineRows(checkpoints, data?.currentParentId ?? null, {
    filter,
    undoId: undo?.safetyCheckpointId,
  });
  const of = (what: Asked["what"]) => (asked?.what === what ? asked.checkpoint : undefined);
  const forked = of("fork");
  const templated = of("template");
  const namedCount = checkpoints.filter(({ kind }) => kind === "named").length;
  return (
    <SidePane
      title="Timeline"
      actions={
        <Tooltip content="New checkpoint">
          <Button tone="ghost" size="iconSm" aria-label="New checkpoint" onClick={() => setNaming(true)}>
            <Plus aria-hidden className="size-3.5!" />
          </Button>
        </Tooltip>
      }
    >
      {isNaming && data ? (
        <NewCheckpointForm
          workspaceId={workspace.id}
          suggestedName={suggestedName(checkpoints)}
          onDone={() => setNaming(false)}
        />
      ) : null}
      {undo ? (
        <div
          role="status"
          aria-label="Last restore"
          className="flex flex-wrap items-center gap-2 border-line border-y bg-info-soft px-4 py-2 text-sm"
        >
          <p className="basis-full">
            Restored “{undo.name}” at {dateWords(undo.atMs, now)}.
          </p>
          <Button
            size="sm"
            disabled={restore.isPending}
            onClick={() => void restore.run({ checkpointId: undo.safetyCheckpointId, name: undo.name }, true)}
          >
            <Undo2 aria-hidden className="size-3.5!" /> Undo restore
          </Button>
          <Button
            tone="ghost"
            size="iconSm"
            aria-label="Keep what was restored"
            onClick={() => state.set({ undo: undefined })}
          >
            <X aria-hidden className="size-3.5!" />
          </Button>
        </div>
      ) : null}
      {error ? (
        <div className="p-3">
          <FailureNote failure={toFailure(error)}>
            <Button size="sm" className="mt-2 justify-self-start" onClick={() => void refetch()}>
              Try again
            </Button>
          </FailureNote>
        </div>
      ) : null}
      {checkpoints.length > 0 ? (
        <select
          aria-label="Show checkpoints"
          value={filter}
          onChange={(event) => setFilter(event.target.value as TimelineFilter)}
          className="mx-4 my-1.5 h-7 rounded-md border border-line-strong bg-surface px-2 text-xs"
        >
          {FILTERS.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      ) : null}
      <div className="min-h-0 flex-1 overflow-y-auto">
        <ol aria-label="Checkpoints">
          {rows.map((row) => (
            <CheckpointRow
              key={row.checkpoint.checkpointId}
              row={row}
              slug={workspace.slug}
              nowMs={now}
              isBusy={restore.isPending}
              onRestore={() =>
                row.isUndo
                  ? void restore.run(row.checkpoint, true)
                  : setAsked({ what: "restore", checkpoint: row.checkpoint })
              }
              onFork={() => setAsked({ what: "fork", checkpoint: row.checkpoint })}
              onTemplate={() => setAsked({ what: "template", checkpoint: row.checkpoint })}
              onDelete={() => setAsked({ what: "delete", checkpoint: row.checkpoint })}
            />
          ))}
        </ol>
        {data && checkpoints.length === 0 && !isNaming ? <Empty onNew={() => setNaming(true)} /> : null}
      </div>
      {data && checkpoints.length > 0 ? (
        <p className="flex flex-wrap gap-x-3 border-line border-t px-4 py-2 text-2xs text-ink-faint *:whitespace-nowrap">
          <span>
            {namedCount} of {data.maxNamed} named
          </span>
          <span>{byteWords(data.usage.layerBytes)} on disk</span>
          <span>{byteWords(data.usage.snapshotBytes)} of memory</span>
        </p>
      ) : null}
      <RestoreDialog checkpoint={of("restore")} onClose={close} onRestore={restore.run} />
      <DeleteCheckpointDialog workspaceId={workspace.id} checkpoint={of("delete")} onClose={close} />
      <ForkDialog
        fork={
          forked && {
            origin: {
              kind: "checkpoint",
              workspaceId: workspace.id,
              checkpointId: forked.checkpointId,
            },
            suggestedName: `${workspace.name} (${forked.name})`,
            text: forked.hasMemory
              ? "Continues from this checkpoint, running programs included."
              : "Continues from the files of this checkpoint.",
          }
        }
        onClose={close}
      />
      <MakeTemplateDialog
        source={
          templated && {
            workspaceId: workspace.id,
            checkpointId: templated.checkpointId,
            name: workspace.name,
          }
        }
        onClose={close}
      />
    </SidePane>
  );
}

function Empty({ onNew }: { onNew: () => void }) {
  return (
    <div className="grid gap-3 px-4 py-3 text-ink-soft text-sm">
      <p>
        No checkpoints yet. One keeps everything as it is now; you can look into it, bring files back or
        return to it whole. While you work some are made by themselves.
      </p>
      <Button size="sm" className="justify-self-start" onClick={onNew}>
        <Plus aria-hidden className="size-3.5!" /> New checkpoint
      </Button>
    </div>
  );
}
