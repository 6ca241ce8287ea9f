"use client";
import { PLAN_TIMES, type PlanName } from "@atoll/protocol/plans";
import { MoonStar } from "lucide-react";
import { useState } from "react";
import { Button } from "#ui/button.tsx";
import { durationWords } from "#ui/date-words.ts";
import { useNow } from "#ui/use-now.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { idleOutlook, leaseChoices } from "./idle-outlook.ts";
import { useKeepAwake } from "./use-keep-awake.ts";

export interface IdleWarningProps {
  workspaceId: string;
  plan: PlanName;
  idlePauseSeconds: number;
}

/** Ahead of a pause, over the layout so that nothing moves. Any key or click in the tab is work and makes it go away. */
export function IdleWarning({ workspaceId, plan, idlePauseSeconds }: IdleWarningProps) {
  const { connection } = useModels();
  const { status, phase } = useModelState(connection.state);
  const now = useNow(1000);
  const keepAwake = useKeepAwake(workspaceId);
  const outlook =
    status && now !== undefined && phase.name === "connected"
      ? idleOutlook(status, idlePauseSeconds, now)
      : undefined;
  // Pressing one of its buttons is work as well: it must not go away between that and the click.
  const [pressed, setPressed] = useState<NonNullable<typeof outlook>["warning"]>();
  const warning = outlook?.warning ?? pressed;
  const press = () => setPressed(warning);
  const release = () => setPressed(undefined);
  return (
    <div role="status" aria-label="Pause warning" className="contents">
      {warning ? (
        <div className="absolute top-3 right-3 z-20 grid w-96 max-w-[calc(100%-1.5rem)] animate-rise gap-3 rounded-xl border border-line-strong bg-raised p-4 text-sm shadow-high">
          <p>
            <MoonStar aria-hidden className="mr-2 inline size-4 text-warn" />
            {/* A clock that is read out every second helps nobody. */}
            <span aria-hidden>
              Pauses in <span className="font-medium tabular-nums">{warning.remaining}</span>
            </span>
            <span className="sr-only">{outlook?.line}</span>: nothing is going on here. Memory and programs
            are kept.
            {warning.lastWork ? <span className="text-ink-soft"> Last work: {warning.lastWork}.</span> : null}
          </p>
          {/* biome-ignore lint/a11y/noStaticElementInteractions: what happens inside only keeps it there */}
          <div
            className="flex flex-wrap gap-2"
            onPointerDown={press}
            onKeyDown={press}
            onClick={release}
            // A finger leaves before it clicks.
            onPointerLeave={({ pointerType }) => (pointerType === "mouse" ? release() : undefined)}
            onPointerCancel={release}
            onBlur={release}
          >
            {leaseChoices(PLAN_TIMES[plan].keepAwakeMaxSeconds)
              .slice(0, 2)
              .map((seconds) => (
                <Button key={seconds} size="sm" onClick={() => keepAwake(seconds)}>
                  Keep running {durationWords(seconds)}
                </Button>
              ))}
          </div>
        </div>
      ) : null}
    </div>
  );
}
