"use client";
import { useMutation } from "@tanstack/react-query";
import { toast } from "sonner";
import { useTRPC } from "#trpc/client.tsx";
import { durationWords } from "#ui/date-words.ts";
import { toastFailure } from "#ui/toaster.tsx";

/** Asks for a lease; 0 gives it back. */
export function useKeepAwake(workspaceId: string) {
  const trpc = useTRPC();
  const lease = useMutation(
    trpc.workspace.keepAwake.mutationOptions({
      onError: toastFailure,
      onSuccess: ({ seconds }) =>
        toast(seconds > 0 ? `Keeps running for ${durationWords(seconds)}` : "Pauses by itself again"),
    }),
  );
  return (seconds: number) => lease.mutate({ id: workspaceId, seconds });
}
