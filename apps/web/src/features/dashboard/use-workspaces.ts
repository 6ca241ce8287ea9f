"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useSubscription } from "@trpc/tanstack-react-query";
import { liveFields, type WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";

export interface WorkspaceList {
  isHostReachable: boolean;
  workspaces: WorkspaceView[];
}

/** The caller's workspaces, kept live: each event replaces exactly the fields hostd owns. */
export function useWorkspaces(firstList?: WorkspaceList) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const queryKey = trpc.workspace.list.queryKey();
  useSubscription(
    trpc.workspace.watch.subscriptionOptions(undefined, {
      onData: ({ isHostReachable, statuses }) => {
        const byId = new Map(statuses.map((status) => [status.workspaceId, status]));
        let isUnknown = false;
        queryClient.setQueryData(queryKey, (list) => {
          if (!list) return list;
          const known = new Set(list.workspaces.map((workspace) => workspace.id));
          isUnknown = statuses.some(
            (status) =>
              !known.has(status.workspaceId) && status.state !== "erased" && status.state !== "deleting",
          );
          const workspaces = list.workspaces.map((workspace) => {
            const status = byId.get(workspace.id);
            const live = status ? { ...workspace, ...liveFields(status) } : workspace;
            return { ...live, isLive: isHostReachable && (status !== undefined || workspace.isLive) };
          });
          return { isHostReachable, workspaces: workspaces.filter(({ state }) => state !== "erased") };
        });
        if (isUnknown) void queryClient.invalidateQueries({ queryKey }, { cancelRefetch: false });
      },
    }),
  );
  return useQuery({
    ...trpc.workspace.list.queryOptions(),
    ...(firstList ? { initialData: firstList } : {}),
  });
}
