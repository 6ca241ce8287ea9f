"use client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { workbenchStore } from "../workbench/workbench-state.ts";

/** Automatic ones come while nobody asks. */
const REFRESH_MS = 60_000;

/** The workspace's checkpoints, looked at again whenever the host did something with it. */
export function useTimeline(workspaceId: string) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const { connection } = useModels();
  const { status } = useModelState(connection.state);
  const filter = trpc.checkpoint.list.queryFilter({ workspaceId });
  const query = useQuery({
    ...trpc.checkpoint.list.queryOptions({ workspaceId }),
    refetchInterval: REFRESH_MS,
  });
  const version = `${status?.generation} ${status?.state} ${status?.operation?.startedAtMs}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new version is a reason to look again
  useEffect(() => {
    void queryClient.invalidateQueries(filter);
  }, [version, queryClient]);
  return query;
}

/** Restores all of a checkpoint; afterwards the workbench offers the way back. */
export function useRestore(workspaceId: string) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const { editor, tree } = useModels();
  const restore = useMutation(trpc.checkpoint.restore.mutationOptions({ onError: toastFailure }));
  return {
    isPending: restore.isPending,
    /** @param isUndo the checkpoint is the one that a restore had set aside */
    async run(checkpoint: { checkpointId: string; name: string }, isUndo = false): Promise<void> {
      const safetyCheckpointId = crypto.randomUUID();
      const { checkpointId, name } = checkpoint;
      // What is typed but not saved belongs into the safety checkpoint.
      await editor.saveAll().catch(() => {});
      try {
        await restore.mutateAsync({ workspaceId, checkpointId, safetyCheckpointId });
      } catch {
        return; // Told by the mutation.
      }
      workbenchStore(workspaceId)
        .getState()
        .set({ undo: isUndo ? undefined : { safetyCheckpointId, name, atMs: Date.now() } });
      tree.refresh();
      toast.success(isUndo ? "The restore is undone" : `Restored “${name}”`);
      await queryClient.invalidateQueries(trpc.checkpoint.list.queryFilter({ workspaceId }));
    },
  };
}
