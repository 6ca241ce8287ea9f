"use client";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";

export interface DeleteCheckpointDialogProps {
  workspaceId: string;
  checkpoint: CheckpointInfo | undefined;
  onClose: () => void;
}

export function DeleteCheckpointDialog({ workspaceId, checkpoint, onClose }: DeleteCheckpointDialogProps) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const remove = useMutation(
    trpc.checkpoint.delete.mutationOptions({
      onSuccess: () => {
        toast(`Checkpoint “${checkpoint?.name}” is deleted`);
        onClose();
      },
      onSettled: () => queryClient.invalidateQueries(trpc.checkpoint.list.queryFilter({ workspaceId })),
    }),
  );
  return (
    <Dialog
      open={checkpoint !== undefined}
      onOpenChange={(open) => !open && onClose()}
      title={`Delete “${checkpoint?.name ?? ""}”?`}
      description="This earlier state cannot be returned to any more. The workspace itself and other checkpoints are not touched."
    >
      {remove.error ? <FailureNote failure={toFailure(remove.error)} /> : null}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          tone="dangerSolid"
          disabled={remove.isPending}
          onClick={() => checkpoint && remove.mutate({ workspaceId, checkpointId: checkpoint.checkpointId })}
        >
          Delete
        </Button>
      </DialogActions>
    </Dialog>
  );
}
