"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Field } from "#ui/field.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import type { WorkspaceDialogProps } from "./rename-workspace-dialog.tsx";

export interface DeleteWorkspaceDialogProps extends WorkspaceDialogProps {
  onDeleted?: () => void;
}

export function DeleteWorkspaceDialog({ open, onClose, ...rest }: DeleteWorkspaceDialogProps) {
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      title="Delete workspace"
      description="Its key is destroyed first, then its disk and saved memory. Nobody can bring it back, including us."
    >
      {open ? <DeleteForm onClose={onClose} {...rest} /> : null}
    </Dialog>
  );
}

function DeleteForm({ onClose, workspace, onDeleted }: Omit<DeleteWorkspaceDialogProps, "open">) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [typed, setTyped] = useState("");
  const remove = useMutation(
    trpc.workspace.delete.mutationOptions({
      onSuccess: async ({ erasures, receiptId }) => {
        await queryClient.invalidateQueries(trpc.workspace.list.queryFilter());
        const erasure = erasures[0];
        toast.success(`${workspace.name} is deleted`, {
          description: erasure
            ? `Key destroyed at ${new Date(erasure.keyDestroyedAtMs).toLocaleTimeString("en-GB")}.`
            : "No machine had been made for it.",
          action: { label: "Receipt", onClick: () => location.assign(`/erased/${receiptId}`) },
        });
        onClose();
        onDeleted?.();
      },
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed === workspace.name) remove.mutate({ id: workspace.id });
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      {remove.error ? <FailureNote failure={toFailure(remove.error)} /> : null}
      <Field
        label={`Type “${workspace.name}” to confirm`}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        autoComplete="off"
        autoFocus
      />
      <FormActions
        submit="Delete for good"
        tone="dangerSolid"
        onCancel={onClose}
        isBusy={remove.isPending}
        disabled={typed !== workspace.name}
      />
    </form>
  );
}
