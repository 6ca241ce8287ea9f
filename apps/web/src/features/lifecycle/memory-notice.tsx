"use client";
import { RotateCcw, X } from "lucide-react";
import { Button } from "#ui/button.tsx";
import { dateWords } from "#ui/date-words.ts";
import { failureOf } from "#ui/failure.ts";
import { useNow } from "#ui/use-now.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import type { WorkbenchState } from "../workbench/workbench-state.ts";

/** Programs were restarted because memory could not be kept. Said once for each time, until it is closed. */
export function MemoryNotice({ state }: { state: WorkbenchState }) {
  const { connection } = useModels();
  const { status } = useModelState(connection.state);
  const now = useNow(60_000);
  const lost = status?.lostMemory;
  if (!lost || now === undefined || status.state !== "running" || state.seenLossAtMs === lost.atMs)
    return null;
  const general = failureOf("workspace.memory_lost");
  const cause = failureOf(lost.code);
  return (
    <div
      role="status"
      aria-label="Programs were restarted"
      className="flex min-h-9 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-line border-b bg-info-soft px-4 py-1.5 text-sm"
    >
      <RotateCcw aria-hidden className="size-4 text-info" />
      <p className="flex-1">
        <span className="font-medium">{general.what}</span> {general.why}{" "}
        {cause.code === general.code ? "" : `${cause.what} `}
        {general.now}{" "}
        <span className="font-mono text-2xs text-ink-faint">
          {lost.code}, {dateWords(lost.atMs, now)}
        </span>
      </p>
      <Button
        tone="ghost"
        size="iconSm"
        aria-label="Close notice"
        onClick={() => state.set({ seenLossAtMs: lost.atMs })}
      >
        <X aria-hidden className="size-3.5!" />
      </Button>
    </div>
  );
}
