"use client";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { useQueryClient } from "@tanstack/react-query";
import { toast } from "sonner";
import { useTRPC, useTRPCClient } from "#trpc/client.tsx";
import { DeleteDialog } from "#ui/delete-dialog.tsx";

export interface DeleteCheckpointDialogProps {
  workspaceId: string;
  /** Undefined: closed. */
  checkpoint: CheckpointInfo | undefined;
  onClose: () => void;
}

export function DeleteCheckpointDialog({ workspaceId, checkpoint, onClose }: DeleteCheckpointDialogProps) {
  const trpc = useTRPC();
  const client = useTRPCClient();
  const queryClient = useQueryClient();
  const remove = async () => {
    if (!checkpoint) return;
    const { checkpointId, name } = checkpoint;
    try {
      await client.checkpoint.delete.mutate({ workspaceId, checkpointId });
    } finally {
      await queryClient.invalidateQueries(trpc.checkpoint.list.queryFilter({ workspaceId }));
    }
    toast(`Checkpoint “${name}” is deleted`);
  };
  return (
    <DeleteDialog
      title={checkpoint && `Delete “${checkpoint.name}”?`}
      text="This earlier state cannot be returned to any more. The workspace itself and other checkpoints are not touched."
      onDelete={remove}
      onClose={onClose}
    />
  );
}
