"use client";
import { useActionState } from "react";
import { type AuthFormState, signUpAction } from "#server/auth/actions.ts";
import { PASSWORD_MIN_CHARS } from "#server/auth/credentials.schema.ts";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Field } from "#ui/field.tsx";
import { Spinner } from "#ui/spinner.tsx";

export function SignUpForm({ callbackUrl }: { callbackUrl: string }) {
  const [state, submit, isPending] = useActionState<AuthFormState, FormData>(signUpAction, {});
  const isWrong = (field: string) => state.fields?.includes(field) ?? false;
  return (
    <form action={submit} className="grid gap-4">
      {state.code && !state.fields ? <FailureNote failure={failureOf(state.code)} /> : null}
      <input type="hidden" name="callbackUrl" value={callbackUrl} />
      <Field
        label="Name"
        name="name"
        autoComplete="name"
        required
        maxLength={80}
        defaultValue={state.values?.name}
        error={isWrong("name") ? "Enter a name of up to 80 characters." : undefined}
        autoFocus
      />
      <Field
        label="E-mail"
        name="email"
        type="email"
        autoComplete="username"
        required
        maxLength={254}
        defaultValue={state.values?.email}
        error={isWrong("email") ? "Enter a complete e-mail address." : undefined}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="new-password"
        required
        minLength={PASSWORD_MIN_CHARS}
        hint={`At least ${PASSWORD_MIN_CHARS} characters. A few words are easier to keep than symbols.`}
        error={isWrong("password") ? `Use ${PASSWORD_MIN_CHARS} to 512 characters.` : undefined}
      />
      <Button type="submit" tone="primary" size="lg" disabled={isPending} className="mt-1">
        {isPending ? <Spinner /> : null}
        Create account
      </Button>
    </form>
  );
}
