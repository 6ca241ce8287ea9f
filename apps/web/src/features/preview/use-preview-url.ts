"use client";
import { useMutation } from "@tanstack/react-query";
import { useTRPC } from "#trpc/client.tsx";
import { toastFailure } from "#ui/toaster.tsx";

/** Opens previews: each address works once, so it is fetched at the moment it is used. */
export function usePreviewUrl(workspaceId: string) {
  const trpc = useTRPC();
  const open = useMutation(trpc.preview.open.mutationOptions());
  const urlFor = async (port: number, path: string) => {
    const { url } = await open.mutateAsync({ workspaceId, port, path });
    return url;
  };
  const openInTab = (port: number, path = "/") => {
    urlFor(port, path).then((url) => window.open(url, "_blank", "noopener"), toastFailure);
  };
  return { urlFor, openInTab };
}
