"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { Button } from "#ui/button.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { inputLook } from "#ui/field.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { useModels } from "../workbench/models-context.tsx";

export interface NewCheckpointFormProps {
  workspaceId: string;
  suggestedName: string;
  onDone: () => void;
}

export function NewCheckpointForm({ workspaceId, suggestedName, onDone }: NewCheckpointFormProps) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const { editor } = useModels();
  const [checkpointId] = useState(() => crypto.randomUUID());
  const [name, setName] = useState(suggestedName);
  const [withMemory, setWithMemory] = useState(true);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  const create = useMutation(
    trpc.checkpoint.create.mutationOptions({
      onSuccess: async (made) => {
        toast.success(`Checkpoint “${made.name}” is made`);
        await queryClient.invalidateQueries(trpc.checkpoint.list.queryFilter({ workspaceId }));
        onDone();
      },
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // What is typed but not saved belongs in it.
    void editor
      .saveAll()
      .catch(() => {})
      .finally(() => create.mutate({ workspaceId, checkpointId, name, withMemory }));
  };
  return (
    <form
      onSubmit={submit}
      aria-label="New checkpoint"
      className="grid gap-2.5 border-line border-y bg-surface px-4 py-3"
      onKeyDown={(event) => event.key === "Escape" && onDone()}
    >
      {create.error ? <FailureNote failure={toFailure(create.error)} /> : null}
      <input
        ref={input}
        aria-label="Checkpoint name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        required
        maxLength={80}
        autoComplete="off"
        className={`${inputLook} h-8 text-sm`}
      />
      <label className="flex items-start gap-2 text-sm">
        <input
          type="checkbox"
          checked={withMemory}
          onChange={(event) => setWithMemory(event.target.checked)}
          className="mt-0.5 size-4 accent-accent"
        />
        <span>
          With memory
          <span className="block text-ink-faint text-xs">
            Running programs and terminals come back too. Without: files only, smaller.
          </span>
        </span>
      </label>
      <div className="flex gap-2">
        <Button type="submit" size="sm" tone="primary" disabled={create.isPending}>
          {create.isPending ? <Spinner className="size-3.5" /> : null}
          Make checkpoint
        </Button>
        <Button size="sm" tone="ghost" onClick={onDone}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
