"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import { NameField } from "#ui/name-field.tsx";

export interface TemplateSource {
  workspaceId: string;
  name: string;
  /** Default: a checkpoint of the present disk, made for it. */
  checkpointId?: string;
}

export interface MakeTemplateDialogProps {
  /** Undefined: closed. */
  source: TemplateSource | undefined;
  onClose: () => void;
}

export function MakeTemplateDialog({ source, onClose }: MakeTemplateDialogProps) {
  return (
    <Dialog
      open={source !== undefined}
      onOpenChange={(open) => !open && onClose()}
      title="Make a template"
      description="A copy is started on its own and searched for keys, tokens, histories and machine identity, which are removed from it. You see the list before anyone else can use the template."
    >
      {source ? <MakeTemplateForm source={source} onClose={onClose} /> : null}
    </Dialog>
  );
}

function MakeTemplateForm({ source, onClose }: { source: TemplateSource; onClose: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [ids] = useState(() => ({ template: crypto.randomUUID(), checkpoint: crypto.randomUUID() }));
  const [name, setName] = useState(source.name.slice(0, 60));
  const checkpoint = useMutation(trpc.checkpoint.create.mutationOptions());
  const create = useMutation(trpc.template.create.mutationOptions());
  const error = checkpoint.error ?? create.error;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const { workspaceId } = source;
    const checkpointId = source.checkpointId ?? ids.checkpoint;
    try {
      if (source.checkpointId === undefined)
        await checkpoint.mutateAsync({
          workspaceId,
          checkpointId,
          name: `For template ${name}`.slice(0, 80),
          withMemory: false,
        });
      await create.mutateAsync({ id: ids.template, name, workspaceId, checkpointId });
    } catch {
      return; // Shown above the form.
    }
    await queryClient.invalidateQueries(trpc.template.list.queryFilter());
    toast(`${name} is being made`, {
      description: "Review what was removed and publish it under “Templates” on your dashboard.",
    });
    onClose();
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="grid gap-5">
      {error ? <FailureNote failure={toFailure(error)} /> : null}
      <NameField value={name} onChange={setName} />
      <p className="text-ink-soft text-sm">
        {source.checkpointId === undefined
          ? "It begins from the saved files as they are now; running programs do not come along."
          : "It begins from the files of this checkpoint; running programs do not come along."}
      </p>
      <FormActions
        submit="Make template"
        onCancel={onClose}
        isBusy={checkpoint.isPending || create.isPending}
      />
    </form>
  );
}
