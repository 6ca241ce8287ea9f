"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { Button } from "#ui/button.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { failureOf, toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { workspacePath } from "./view-path.ts";

export interface RestorePathDialogProps {
  workspaceId: string;
  checkpointId: string | null;
  /** In the view. Undefined: closed. */
  path: string | undefined;
  isRunning: boolean;
  onClose: () => void;
}

/** One file or folder of the checkpoint over what the running workspace has. */
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
  return (
    <div className="grid gap-5">
      {restore.error ? <FailureNote failure={toFailure(restore.error)} /> : null}
      {isRunning ? (
        <p className="text-ink-soft text-sm">
          First a safety checkpoint of the workspace is made, so that this can be undone.
        </p>
      ) : (
        <FailureNote failure={failureOf("workspace.not_running")} />
      )}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          tone="primary"
          disabled={!isRunning || checkpointId === null || restore.isPending}
          onClick={() =>
            checkpointId !== null &&
            restore.mutate({ workspaceId, checkpointId, safetyCheckpointId, paths: [own] })
          }
        >
          {restore.isPending ? <Spinner /> : null}
          Restore
        </Button>
      </DialogActions>
    </div>
  );
}
