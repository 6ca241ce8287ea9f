"use client";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTRPC } from "#trpc/client.tsx";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Field } from "#ui/field.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import type { AccountSummary } from "./settings-page.tsx";

export interface DeleteAccountDialogProps {
  open: boolean;
  onClose: () => void;
  account: AccountSummary;
  workspaces: Array<{ id: string; name: string }>;
}

export function DeleteAccountDialog({ open, onClose, ...rest }: DeleteAccountDialogProps) {
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      title="Delete account"
      description="This cannot be undone, by you or by us."
      className="max-w-lg"
    >
      {open ? <DeleteAccountForm onClose={onClose} {...rest} /> : null}
    </Dialog>
  );
}

function DeleteAccountForm({ onClose, account, workspaces }: Omit<DeleteAccountDialogProps, "open">) {
  const trpc = useTRPC();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const remove = useMutation(
    trpc.account.delete.mutationOptions({
      // A full load: nothing of the signed-in pages may stay in memory.
      onSuccess: ({ receiptId }) => location.assign(`/erased/${receiptId}`),
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    remove.mutate({ email, password });
  };
  const isReady = email.trim().toLowerCase() === account.email && (password !== "" || !account.hasPassword);
  const isBusy = remove.isPending || remove.isSuccess;
  return (
    <form onSubmit={submit} className="grid gap-5">
      <div className="rounded-lg border border-line bg-sunken p-4 text-sm">
        <p className="font-medium">What goes</p>
        <ul className="mt-1.5 grid list-disc gap-1 pl-5 text-ink-soft">
          <li>your key, and with it the means to read anything of yours</li>
          {workspaces.map(({ id, name }) => (
            <li key={id}>workspace “{name}”: its disk and saved memory</li>
          ))}
          <li>your name, e-mail address, password and every sign-in</li>
        </ul>
        <p className="mt-3 font-medium">What stays</p>
        <p className="mt-1 text-ink-soft">
          A receipt and an audit entry with random identifiers and times. Neither names you.
        </p>
      </div>
      {remove.error ? <FailureNote failure={toFailure(remove.error)} /> : null}
      <Field
        label={`Type ${account.email} to confirm`}
        type="email"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
        autoComplete="off"
        autoFocus
      />
      {account.hasPassword ? (
        <Field
          label="Password"
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
        />
      ) : (
        <p className="text-ink-soft text-sm">Your sign-in must be at most ten minutes old.</p>
      )}
      <FormActions
        submit="Delete account for good"
        tone="dangerSolid"
        cancel="Keep my account"
        onCancel={onClose}
        isBusy={isBusy}
        disabled={!isReady}
      />
    </form>
  );
}
