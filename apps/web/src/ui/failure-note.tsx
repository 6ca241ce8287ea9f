import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { classNames } from "./class-names.ts";
import type { Failure } from "./failure.ts";

export interface FailureNoteProps {
  failure: Failure;
  children?: ReactNode;
  className?: string;
}

/** What happened, why, what to do now, and the code to quote. */
export function FailureNote({ failure, children, className }: FailureNoteProps) {
  return (
    <div
      role="alert"
      className={classNames(
        "flex gap-3 rounded-lg border border-danger/40 bg-danger-soft p-3 text-sm",
        className,
      )}
    >
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-danger" />
      <div className="grid min-w-0 gap-1">
        <p className="font-medium text-ink">{failure.what}</p>
        <p className="text-ink-soft">
          {failure.why} {failure.now}
        </p>
        <p className="font-mono text-2xs text-ink-faint">{failure.code}</p>
        {children}
      </div>
    </div>
  );
}
