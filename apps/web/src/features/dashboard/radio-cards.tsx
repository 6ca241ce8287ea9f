"use client";
import { RadioGroup } from "radix-ui";
import { useId } from "react";
import { classNames } from "#ui/class-names.ts";

export interface RadioCardsProps<V extends string> {
  label: string;
  value: V;
  onChange: (value: V) => void;
  options: ReadonlyArray<{ value: V; label: string; hint: string }>;
}

export function RadioCards<V extends string>({ label, value, onChange, options }: RadioCardsProps<V>) {
  const id = useId();
  return (
    <div className="grid gap-1.5">
      <span id={id} className="font-medium text-sm">
        {label}
      </span>
      <RadioGroup.Root
        aria-labelledby={id}
        value={value}
        onValueChange={(next) => onChange(next as V)}
        className="grid gap-px overflow-hidden rounded-lg border border-line-strong bg-line shadow-low"
      >
        {options.map((option) => (
          <RadioGroup.Item
            key={option.value}
            value={option.value}
            aria-label={option.label}
            aria-describedby={`${id}-${option.value}`}
            className="group flex items-start gap-3 bg-surface px-3 py-2.5 text-left outline-offset-[-2px] hover:bg-hover data-[state=checked]:bg-accent-soft"
          >
            <span
              className={classNames(
                "mt-0.5 grid size-4 shrink-0 place-items-center rounded-full border border-line-field bg-surface",
                "group-data-[state=checked]:border-accent",
              )}
            >
              <RadioGroup.Indicator className="size-2 rounded-full bg-accent" />
            </span>
            <span className="grid">
              <span className="font-medium text-sm">{option.label}</span>
              <span id={`${id}-${option.value}`} className="text-ink-soft text-xs">
                {option.hint}
              </span>
            </span>
          </RadioGroup.Item>
        ))}
      </RadioGroup.Root>
    </div>
  );
}
