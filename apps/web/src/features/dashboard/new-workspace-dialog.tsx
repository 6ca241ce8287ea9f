"use client";
import type { WorkspaceOrigin } from "@atoll/protocol/hostd-api";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import { PLANS, type PlanName } from "@atoll/protocol/plans";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type FormEvent, useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import { machineSize } from "#ui/machine-size.ts";
import { NameField } from "#ui/name-field.tsx";
import { SelectField } from "#ui/select-field.tsx";
import { useTemplates } from "../templates/use-templates.ts";
import { EGRESS_PRESETS, EGRESS_WORDS } from "./egress-words.ts";
import { RadioCards } from "./radio-cards.tsx";
import { sizeOptions } from "./size-options.ts";

export interface NewWorkspaceDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  plan: PlanName;
  /** The user's own: a new one may begin where one of them is. */
  workspaces: WorkspaceView[];
}

export function NewWorkspaceDialog({ open, onOpenChange, plan, workspaces }: NewWorkspaceDialogProps) {
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="New workspace"
      description={`A virtual machine with its own encrypted disk, at most ${machineSize(PLANS[plan])}.`}
    >
      {open ? (
        <NewWorkspaceForm plan={plan} workspaces={workspaces} onCancel={() => onOpenChange(false)} />
      ) : null}
    </Dialog>
  );
}

const FRESH = "fresh";
const ONE_DAY_SECONDS = 86_400;
const LIFETIMES = [
  { seconds: 0, label: "Until I delete it" },
  { seconds: ONE_DAY_SECONDS, label: "One day, then erase it" },
  { seconds: 7 * ONE_DAY_SECONDS, label: "One week, then erase it" },
];

type NewWorkspaceFormProps = Pick<NewWorkspaceDialogProps, "plan" | "workspaces"> & { onCancel: () => void };

function NewWorkspaceForm({ plan, workspaces, onCancel }: NewWorkspaceFormProps) {
  const trpc = useTRPC();
  const router = useRouter();
  const queryClient = useQueryClient();
  const sizes = sizeOptions(plan);
  const [id] = useState(() => crypto.randomUUID());
  const [name, setName] = useState("");
  const [size, setSize] = useState<PlanName>(plan);
  const [egress, setEgress] = useState<EgressPreset>("packages");
  const [begin, setBegin] = useState(FRESH);
  const [lifetimeSeconds, setLifetimeSeconds] = useState(0);
  const origins = useOrigins(workspaces);
  const options = {
    onSuccess: ({ workspace }: { workspace: { slug: string } }) => {
      void queryClient.invalidateQueries(trpc.workspace.list.queryFilter());
      router.push(`/w/${workspace.slug}`);
    },
  };
  const create = useMutation(trpc.workspace.create.mutationOptions(options));
  const fork = useMutation(trpc.workspace.fork.mutationOptions(options));
  const origin = origins.find(({ value }) => value === begin)?.origin;
  const chosen = sizes.find((option) => option.value === size)?.size;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const lifetime = lifetimeSeconds > 0 ? { expiresInSeconds: lifetimeSeconds } : {};
    if (origin) fork.mutate({ id, name, egress, origin, ...lifetime });
    else if (chosen) create.mutate({ id, name, egress, ...chosen, ...lifetime });
  };
  const request = origin ? fork : create;
  return (
    <form onSubmit={submit} className="grid gap-5">
      {request.error ? <FailureNote failure={toFailure(request.error)} /> : null}
      <NameField value={name} onChange={setName} placeholder="My project" />
      {origins.length > 0 ? (
        <SelectField
          label="Begin with"
          value={begin}
          onChange={(event) => setBegin(event.target.value)}
          hint={origin ? "As large as where it begins." : undefined}
        >
          <option value={FRESH}>A fresh machine</option>
          {origins.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </SelectField>
      ) : null}
      {origin || sizes.length < 2 ? null : (
        <RadioCards label="Size" value={size} onChange={setSize} options={sizes} />
      )}
      <RadioCards
        label="Network"
        value={egress}
        onChange={setEgress}
        options={EGRESS_PRESETS.map((value) => ({ value, ...EGRESS_WORDS[value] }))}
      />
      <SelectField
        label="Keep it"
        value={lifetimeSeconds}
        onChange={(event) => setLifetimeSeconds(Number(event.target.value))}
      >
        {LIFETIMES.map(({ seconds, label }) => (
          <option key={seconds} value={seconds}>
            {label}
          </option>
        ))}
      </SelectField>
      <FormActions
        submit="Create workspace"
        onCancel={onCancel}
        isBusy={request.isPending || request.isSuccess}
      />
    </form>
  );
}

interface OriginOption {
  value: string;
  label: string;
  origin: WorkspaceOrigin;
}

/** Templates first, then one's own workspaces. */
function useOrigins(workspaces: WorkspaceView[]): OriginOption[] {
  const { data = [] } = useTemplates();
  const templates = data
    .filter(({ state }) => state === "published" || state === "draft")
    .map(({ id, name }) => ({
      value: `template:${id}`,
      label: `Template: ${name}`,
      origin: { kind: "template" as const, templateId: id },
    }));
  const copies = workspaces
    .filter(({ state }) => state !== "unstarted" && state !== "deleting")
    .map(({ id, name }) => ({
      value: `workspace:${id}`,
      label: `Fork of ${name}`,
      origin: { kind: "workspace" as const, workspaceId: id },
    }));
  return [...templates, ...copies];
}
