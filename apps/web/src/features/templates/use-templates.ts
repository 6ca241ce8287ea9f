"use client";
import { useQuery } from "@tanstack/react-query";
import { useTRPC } from "#trpc/client.tsx";

const MAKING_POLL_MS = 2000;

/** One's own and published ones; asked again while one of them is being made. */
export function useTemplates() {
  const trpc = useTRPC();
  return useQuery({
    ...trpc.template.list.queryOptions(),
    refetchInterval: ({ state }) =>
      state.data?.some((template) => template.state === "making") ? MAKING_POLL_MS : false,
  });
}
