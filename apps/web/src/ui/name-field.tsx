"use client";
import { Field, type FieldProps } from "./field.tsx";

export interface NameFieldProps extends Pick<FieldProps, "placeholder"> {
  value: string;
  onChange: (name: string) => void;
}

/** The name of a workspace or a template, first in its dialog. */
export function NameField({ onChange, ...rest }: NameFieldProps) {
  return (
    <Field
      label="Name"
      onChange={(event) => onChange(event.target.value)}
      required
      maxLength={60}
      autoComplete="off"
      autoFocus
      {...rest}
    />
  );
}
