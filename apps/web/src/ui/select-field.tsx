"use client";
import { type ComponentProps, useId } from "react";
import { classNames } from "./class-names.ts";
import { inputLook } from "./field.tsx";

export interface SelectFieldProps extends ComponentProps<"select"> {
  label: string;
  hint?: string | undefined;
}

/** The browser's own list: complete keyboard and screen reader behaviour, on phones too. */
export function SelectField({ label, hint, className, children, ...rest }: SelectFieldProps) {
  const id = useId();
  return (
    <div className="grid gap-1.5">
      <label htmlFor={id} className="font-medium text-ink text-sm">
        {label}
      </label>
      <select
        id={id}
        className={classNames(inputLook, "pr-8", className)}
        aria-describedby={hint ? `${id}-note` : undefined}
        {...rest}
      >
        {children}
      </select>
      {hint ? (
        <p id={`${id}-note`} className="text-ink-faint text-xs">
          {hint}
        </p>
      ) : null}
    </div>
  );
}
