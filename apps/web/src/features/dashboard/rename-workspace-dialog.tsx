"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import { NameField } from "#ui/name-field.tsx";

export interface WorkspaceDialogProps {
  open: boolean;
  onClose: () => void;
  workspace: Pick<WorkspaceView, "id" | "name" | "slug">;
}

export function RenameWorkspaceDialog({ open, onClose, workspace }: WorkspaceDialogProps) {
  return (
    <Dialog open={open} onOpenChange={(next) => !next && onClose()} title="Rename workspace">
      {open ? <RenameForm onClose={onClose} workspace={workspace} /> : null}
    </Dialog>
  );
}

function RenameForm({ onClose, workspace }: Omit<WorkspaceDialogProps, "open">) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [name, setName] = useState(workspace.name);
  const rename = useMutation(
    trpc.workspace.rename.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries(trpc.workspace.list.queryFilter());
        onClose();
      },
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename.mutate({ id: workspace.id, name });
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      {rename.error ? <FailureNote failure={toFailure(rename.error)} /> : null}
      <NameField value={name} onChange={setName} />
      <FormActions submit="Rename" onCancel={onClose} isBusy={rename.isPending} />
    </form>
  );
}
