"use client";
import { type ComponentProps, type ReactNode, useId } from "react";
import { classNames } from "./class-names.ts";

export const inputLook =
  "h-9 w-full rounded-md border border-line-field bg-surface px-3 text-base text-ink shadow-low transition-colors focus-visible:border-focus focus-visible:outline-1 focus-visible:outline-offset-0 aria-invalid:border-danger";

export interface FieldProps extends ComponentProps<"input"> {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
}

/** A labelled input whose hint and error are read out with it. */
export function Field({ label, hint, error, className, id, ...rest }: FieldProps) {
  const generated = useId();
  const inputId = id ?? generated;
  const noteId = `${inputId}-note`;
  const note = error ?? hint;
  return (
    <div className="grid gap-1.5">
      <label htmlFor={inputId} className="font-medium text-ink text-sm">
        {label}
      </label>
      <input
        id={inputId}
        className={classNames(inputLook, className)}
        aria-invalid={error ? true : undefined}
        aria-describedby={note ? noteId : undefined}
        {...rest}
      />
      {note ? (
        <p id={noteId} className={classNames("text-xs", error ? "text-danger" : "text-ink-faint")}>
          {note}
        </p>
      ) : null}
    </div>
  );
}
