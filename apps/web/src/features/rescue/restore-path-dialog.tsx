"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { FormActions } from "#ui/form-actions.tsx";
import { workspacePath } from "./view-path.ts";

export interface RestorePathDialogProps {
  workspaceId: string;
  checkpointId: string | null;
  /** In the view. Undefined: closed. */
  path: string | undefined;
  isRunning: boolean;
  onClose: () => void;
}

/** One file or folder of the checkpoint over what the workspace has, which has to run for it. */
export function RestorePathDialog({ path, onClose, ...rest }: RestorePathDialogProps) {
  const own = path === undefined ? "" : workspacePath(path);
  return (
    <Dialog
      open={path !== undefined}
      onOpenChange={(open) => !open && onClose()}
      title={`Restore ${own}?`}
      description="It replaces what the workspace has under this name. What a folder has besides stays."
    >
      {path === undefined ? null : <RestorePath {...rest} own={own} onClose={onClose} />}
    </Dialog>
  );
}

function RestorePath({
  workspaceId,
  checkpointId,
  own,
  isRunning,
  onClose,
}: Omit<RestorePathDialogProps, "path"> & { own: string }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [safetyCheckpointId] = useState(() => crypto.randomUUID());
  const restore = useMutation(
    trpc.checkpoint.restorePaths.mutationOptions({
      onSuccess: ({ restoredBytes }) => {
        toast.success(`${own} is restored`, {
          description: `${byteWords(restoredBytes)}. A safety checkpoint from just before is in the timeline.`,
        });
        onClose();
      },
      onSettled: () => queryClient.invalidateQueries(trpc.checkpoint.list.queryFilter({ workspaceId })),
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (checkpointId !== null)
      restore.mutate({ workspaceId, checkpointId, safetyCheckpointId, paths: [own] });
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      {restore.error ? <FailureNote failure={toFailure(restore.error)} /> : null}
      <p className="text-ink-soft text-sm">
        {isRunning ? "First" : "The workspace is started for this, which takes as long as any start. Then"} a
        safety checkpoint is made, so that this can be undone.
      </p>
      <FormActions
        submit="Restore"
        onCancel={onClose}
        isBusy={restore.isPending}
        disabled={checkpointId === null}
      />
    </form>
  );
}
