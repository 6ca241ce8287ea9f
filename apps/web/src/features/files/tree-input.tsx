"use client";
import { useEffect, useRef, useState } from "react";
import { toFailure } from "#ui/failure.ts";

export interface TreeInputProps {
  label: string;
  initial: string;
  depth: number;
  onSubmit: (name: string) => Promise<void>;
  onCancel: () => void;
}

/** Name of something new or renamed, typed in place. Enter takes it, Escape gives up, a refusal is said below. */
export function TreeInput({ label, initial, depth, onSubmit, onCancel }: TreeInputProps) {
  const input = useRef<HTMLInputElement>(null);
  const [error, setError] = useState<string>();
  const isDone = useRef(false);
  useEffect(() => {
    const element = input.current;
    if (!element) return;
    element.focus();
    // The name without its ending is what people change.
    const dot = initial.lastIndexOf(".");
    element.setSelectionRange(0, dot > 0 ? dot : initial.length);
  }, [initial]);
  const submit = async () => {
    const name = input.current?.value.trim() ?? "";
    if (isDone.current) return;
    if (name === "" || name === initial) return onCancel();
    isDone.current = true;
    try {
      await onSubmit(name);
    } catch (cause) {
      isDone.current = false;
      setError(toFailure(cause).what);
      input.current?.focus();
    }
  };
  return (
    <div className="relative h-7 pr-2" style={{ paddingLeft: 26 + depth * 12 }}>
      <input
        ref={input}
        defaultValue={initial}
        aria-label={label}
        aria-invalid={error ? true : undefined}
        maxLength={255}
        spellCheck={false}
        className="h-6 w-full rounded-sm border border-focus bg-surface px-1.5 text-sm outline-none aria-invalid:border-danger"
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Enter") void submit();
          if (event.key === "Escape") onCancel();
        }}
        onBlur={() => (error ? onCancel() : void submit())}
      />
      {error ? (
        <p
          role="alert"
          className="absolute top-7 right-2 left-6 z-10 rounded-sm bg-danger-soft px-1.5 py-1 text-danger text-xs"
        >
          {error}
        </p>
      ) : null}
    </div>
  );
}
