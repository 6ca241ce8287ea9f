"use client";
import type { ReactNode } from "react";
import { classNames } from "#ui/class-names.ts";
import { Tooltip } from "#ui/tooltip.tsx";
import { EGRESS_WORDS } from "../dashboard/egress-words.ts";
import { StateShapeIcon } from "../dashboard/state-pill.tsx";
import { type StateShape, stateWords } from "../dashboard/state-words.ts";
import type { CursorPosition } from "../editor/code-editor.tsx";
import { IdleItem } from "../lifecycle/idle-item.tsx";
import type { IdleWarningProps } from "../lifecycle/idle-warning.tsx";
import { OperationItem } from "../lifecycle/operation-item.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";
import { SaveState } from "./save-state.tsx";

const SHAPE_COLOURS: Record<StateShape, string> = {
  running: "text-ok",
  moving: "text-info",
  paused: "text-warn",
  stopped: "text-ink-faint",
  failed: "text-danger",
};

export interface StatusBarProps extends IdleWarningProps {
  cursor: CursorPosition | undefined;
}

export function StatusBar({ cursor, workspaceId, plan, idlePauseSeconds }: StatusBarProps) {
  const { connection, editor } = useModels();
  const { status } = useModelState(connection.state);
  const { active } = useModelState(editor.state);
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: outside of main a footer is the page's contentinfo, which takes a name
    <footer
      aria-label="Status"
      className="flex h-7 shrink-0 items-center gap-0.5 overflow-x-auto overflow-y-hidden border-line border-t bg-canvas px-2 text-2xs text-ink-soft"
      style={{ scrollbarWidth: "none" }}
    >
      <ConnectionItem />
      {status ? (
        <>
          <Item hint="State of the machine">
            <span className={SHAPE_COLOURS[stateWords(status).shape]}>
              <StateShapeIcon shape={stateWords(status).shape} />
            </span>
            {stateWords(status).label}
          </Item>
          {status.isolation === "emulated" ? (
            <Item hint="Emulated — not a security boundary. This host has no hardware virtualisation; the machine is complete, but slower.">
              Emulated
            </Item>
          ) : null}
          <Item hint={EGRESS_WORDS[status.egress].hint}>Network: {EGRESS_WORDS[status.egress].label}</Item>
          <IdleItem workspaceId={workspaceId} plan={plan} idlePauseSeconds={idlePauseSeconds} />
          {status.operation ? <OperationItem operation={status.operation} /> : null}
        </>
      ) : null}
      <span className="flex-1" />
      <SaveState />
      {cursor && active ? (
        <>
          <span className="shrink-0 px-1.5 tabular-nums">
            Ln {cursor.line}, Col {cursor.column}
          </span>
          <span className="px-1.5">{cursor.language}</span>
        </>
      ) : null}
    </footer>
  );
}

function ConnectionItem() {
  const { connection, latency } = useModels();
  const { phase, status, wasLinked } = useModelState(connection.state);
  const { latencyMs } = useModelState(latency.state);
  const isUp = phase.name === "connected";
  const isLinked = isUp && status?.state === "running";
  const text = isUp
    ? "Connected"
    : phase.name === "refused"
      ? "Not connected"
      : wasLinked
        ? "Reconnecting"
        : "Connecting";
  return (
    <Item hint={isLinked ? "Round trip to the machine and back" : "Connection to the machine"}>
      <span
        aria-hidden
        className={classNames(
          "size-2 rounded-full border",
          isUp ? "border-ok bg-ok" : "border-warn bg-transparent",
        )}
      />
      {text}
      {latencyMs === undefined ? null : <span className="tabular-nums"> · {Math.round(latencyMs)} ms</span>}
    </Item>
  );
}

function Item({ hint, children }: { hint: string; children: ReactNode }) {
  return (
    <Tooltip content={hint} side="top">
      <button
        type="button"
        className="flex h-5 shrink-0 cursor-default items-center gap-1.5 rounded-sm px-1.5 hover:bg-hover"
      >
        {children}
      </button>
    </Tooltip>
  );
}
