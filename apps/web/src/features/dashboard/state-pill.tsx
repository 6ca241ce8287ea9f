import { classNames } from "#ui/class-names.ts";
import { Spinner } from "#ui/spinner.tsx";
import { OPERATION_WORDS, type OperationKind } from "../lifecycle/operation-words.ts";
import { type ShownState, type StateShape, stateWords } from "./state-words.ts";

const LOOK: Record<StateShape, string> = {
  running: "bg-ok-soft text-ok",
  moving: "bg-info-soft text-info",
  paused: "bg-warn-soft text-warn",
  stopped: "bg-sunken text-ink-soft",
  failed: "bg-danger-soft text-danger",
};

interface StatePillProps {
  state: ShownState;
  reason?: string | null | undefined;
  className?: string;
}

export function StatePill({ state, reason, className }: StatePillProps) {
  const { label, shape } = stateWords({ state, reason });
  return (
    <span
      className={classNames(
        "inline-flex h-5.5 items-center gap-1.5 rounded-full px-2 font-medium text-xs",
        LOOK[shape],
        className,
      )}
    >
      <StateShapeIcon shape={shape} />
      {label}
    </span>
  );
}

export function OperationPill({ kind }: { kind: OperationKind }) {
  return (
    <span
      className={classNames(
        "inline-flex h-5.5 items-center gap-1.5 rounded-full px-2 font-medium text-xs",
        LOOK.moving,
      )}
    >
      <StateShapeIcon shape="moving" />
      {OPERATION_WORDS[kind]}
    </span>
  );
}

export function StateShapeIcon({ shape }: { shape: StateShape }) {
  if (shape === "moving") return <Spinner className="size-3" />;
  return (
    <svg viewBox="0 0 10 10" className="size-2.5" fill="currentColor" aria-hidden="true">
      {shape === "running" ? <circle cx="5" cy="5" r="4" /> : null}
      {shape === "paused" ? <path d="M1.5 1h2.4v8H1.5zM6.1 1h2.4v8H6.1z" /> : null}
      {shape === "stopped" ? <rect x="1.5" y="1.5" width="7" height="7" rx="1" /> : null}
      {shape === "failed" ? <path d="M5 .8 9.6 9H.4z" /> : null}
    </svg>
  );
}
