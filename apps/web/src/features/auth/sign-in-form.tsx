"use client";
import { useActionState } from "react";
import { type AuthFormState, signInAction } from "#server/auth/actions.ts";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Field } from "#ui/field.tsx";
import { Spinner } from "#ui/spinner.tsx";

export function SignInForm({ callbackUrl }: { callbackUrl: string }) {
  const [state, submit, isPending] = useActionState<AuthFormState, FormData>(signInAction, {});
  return (
    <form action={submit} className="grid gap-4">
      {state.code ? <FailureNote failure={failureOf(state.code)} /> : null}
      <input type="hidden" name="callbackUrl" value={callbackUrl} />
      <Field
        label="E-mail"
        name="email"
        type="email"
        autoComplete="username"
        required
        maxLength={254}
        defaultValue={state.values?.email}
        autoFocus
      />
      <Field label="Password" name="password" type="password" autoComplete="current-password" required />
      <Button type="submit" tone="primary" size="lg" disabled={isPending} className="mt-1">
        {isPending ? <Spinner /> : null}
        Sign in
      </Button>
    </form>
  );
}
