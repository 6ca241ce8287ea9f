"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useSubscription } from "@trpc/tanstack-react-query";
import { liveFields, type WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import { useIsVisible } from "#ui/use-is-visible.ts";

export interface WorkspaceList {
  isHostReachable: boolean;
  workspaces: WorkspaceView[];
}

/** The caller's workspaces as last fetched or reported. */
export function useWorkspaceList(firstList?: WorkspaceList) {
  const trpc = useTRPC();
  return useQuery({
    ...trpc.workspace.list.queryOptions(),
    ...(firstList ? { initialData: firstList } : {}),
  });
}

/**
 * Keeps the list live: each event replaces exactly the fields hostd owns. Only while the page is seen: a browser
 * holds six connections to one host, and a stream for each forgotten tab would use them up.
 */
export function useLiveWorkspaces(): void {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const isVisible = useIsVisible();
  const queryKey = trpc.workspace.list.queryKey();
  useSubscription(
    trpc.workspace.watch.subscriptionOptions(undefined, {
      enabled: isVisible,
      onData: ({ isHostReachable, statuses }) => {
        const byId = new Map(statuses.map((status) => [status.workspaceId, status]));
        let isUnknown = false;
        queryClient.setQueryData(queryKey, (list) => {
          if (!list) return list;
          const known = new Set(list.workspaces.map((workspace) => workspace.id));
          isUnknown = statuses.some(
            ({ workspaceId, state }) => !known.has(workspaceId) && state !== "erased" && state !== "deleting",
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
}

/** One workspace, live; `first` until the list is there and when it is gone from it. */
export function useLiveWorkspace(first: WorkspaceView): WorkspaceView {
  const { data } = useWorkspaceList();
  useLiveWorkspaces();
  return data?.workspaces.find(({ id }) => id === first.id) ?? first;
}
