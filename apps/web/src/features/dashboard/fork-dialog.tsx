"use client";
import type { WorkspaceOrigin } from "@atoll/protocol/hostd-api";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type FormEvent, useState } from "react";
import { useTRPC } from "#trpc/client.tsx";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import { NameField } from "#ui/name-field.tsx";

export interface ForkDialogProps {
  /** Undefined: closed. */
  fork: { origin: WorkspaceOrigin; suggestedName: string; text: string } | undefined;
  onClose: () => void;
}

/** A new workspace that begins where another one is, was, or where a template begins. */
export function ForkDialog({ fork, onClose }: ForkDialogProps) {
  return (
    <Dialog
      open={fork !== undefined}
      onOpenChange={(open) => !open && onClose()}
      title={fork?.origin.kind === "template" ? "New workspace from template" : "Fork into a new workspace"}
      description={fork?.text}
    >
      {fork ? <ForkForm {...fork} onClose={onClose} /> : null}
    </Dialog>
  );
}

function ForkForm({
  origin,
  suggestedName,
  onClose,
}: NonNullable<ForkDialogProps["fork"]> & { onClose: () => void }) {
  const trpc = useTRPC();
  const router = useRouter();
  const queryClient = useQueryClient();
  const [id] = useState(() => crypto.randomUUID());
  const [name, setName] = useState(suggestedName.slice(0, 60));
  const fork = useMutation(
    trpc.workspace.fork.mutationOptions({
      onSuccess: ({ workspace }) => {
        void queryClient.invalidateQueries(trpc.workspace.list.queryFilter());
        router.push(`/w/${workspace.slug}`);
      },
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    fork.mutate({ id, name, origin });
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      {fork.error ? <FailureNote failure={toFailure(fork.error)} /> : null}
      <NameField value={name} onChange={setName} />
      <p className="text-ink-soft text-sm">
        It counts against your plan, has its own identity and keys, and goes its own way from here.
      </p>
      <FormActions submit="Create workspace" onCancel={onClose} isBusy={fork.isPending || fork.isSuccess} />
    </form>
  );
}
