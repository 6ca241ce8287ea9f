"use client";
import { useMutation } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { Dialog } from "./dialog.tsx";
import { toFailure } from "./failure.ts";
import { FailureNote } from "./failure-note.tsx";
import { FormActions } from "./form-actions.tsx";

export interface DeleteDialogProps {
  /** Undefined: closed. */
  title: string | undefined;
  /** What goes with it and what stays. */
  text: string;
  /** Closes the dialog when it resolves; a failure is shown in it. */
  onDelete: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks once more. For what is named and small; whatever holds work asks for its name to be typed. */
export function DeleteDialog({ title, text, ...rest }: DeleteDialogProps) {
  return (
    <Dialog
      open={title !== undefined}
      onOpenChange={(open) => !open && rest.onClose()}
      title={title ?? ""}
      description={text}
    >
      {title === undefined ? null : <DeleteForm {...rest} />}
    </Dialog>
  );
}

function DeleteForm({ onDelete, onClose }: Pick<DeleteDialogProps, "onDelete" | "onClose">) {
  const remove = useMutation({ mutationFn: onDelete, onSuccess: onClose });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    remove.mutate();
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      {remove.error ? <FailureNote failure={toFailure(remove.error)} /> : null}
      <FormActions submit="Delete" tone="dangerSolid" onCancel={onClose} isBusy={remove.isPending} />
    </form>
  );
}
