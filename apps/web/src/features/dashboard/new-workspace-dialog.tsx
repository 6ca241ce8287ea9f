"use client";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import type { PlanName } from "@atoll/protocol/plans";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type FormEvent, useState } from "react";
import { useTRPC } from "#trpc/client.tsx";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Field } from "#ui/field.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { EGRESS_PRESETS, EGRESS_WORDS } from "./egress-words.ts";
import { RadioCards } from "./radio-cards.tsx";
import { sizeOptions } from "./size-options.ts";

export interface NewWorkspaceDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  plan: PlanName;
}

export function NewWorkspaceDialog({ open, onOpenChange, plan }: NewWorkspaceDialogProps) {
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="New workspace"
      description="A virtual machine with its own encrypted disk."
    >
      {open ? <NewWorkspaceForm plan={plan} onCancel={() => onOpenChange(false)} /> : null}
    </Dialog>
  );
}

function NewWorkspaceForm({ plan, onCancel }: { plan: PlanName; onCancel: () => void }) {
  const trpc = useTRPC();
  const router = useRouter();
  const queryClient = useQueryClient();
  const sizes = sizeOptions(plan);
  const [id] = useState(() => crypto.randomUUID());
  const [name, setName] = useState("");
  const [size, setSize] = useState<PlanName>(plan);
  const [egress, setEgress] = useState<EgressPreset>("packages");
  const create = useMutation(
    trpc.workspace.create.mutationOptions({
      onSuccess: ({ workspace }) => {
        void queryClient.invalidateQueries(trpc.workspace.list.queryFilter());
        router.push(`/w/${workspace.slug}`);
      },
    }),
  );
  const chosen = sizes.find((option) => option.value === size)?.size;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (chosen) create.mutate({ id, name, egress, ...chosen });
  };
  const isBusy = create.isPending || create.isSuccess;
  return (
    <form onSubmit={submit} className="grid gap-5">
      {create.error ? <FailureNote failure={toFailure(create.error)} /> : null}
      <Field
        label="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        placeholder="My project"
        required
        maxLength={60}
        autoComplete="off"
        autoFocus
      />
      <RadioCards label="Size" value={size} onChange={setSize} options={sizes} />
      <RadioCards
        label="Network"
        value={egress}
        onChange={setEgress}
        options={EGRESS_PRESETS.map((value) => ({ value, ...EGRESS_WORDS[value] }))}
      />
      <DialogActions>
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" tone="primary" disabled={isBusy}>
          {isBusy ? <Spinner /> : null}
          Create workspace
        </Button>
      </DialogActions>
    </form>
  );
}
