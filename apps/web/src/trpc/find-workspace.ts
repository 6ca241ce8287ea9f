import { AtollError } from "@atoll/protocol/atoll-error";
import { TRPCError } from "@trpc/server";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { serverCaller } from "./server.ts";

/** Somebody else's and none at all look the same. */
export async function findWorkspace(slug: string): Promise<WorkspaceView | undefined> {
  const caller = await serverCaller();
  try {
    return await caller.workspace.get({ slug });
  } catch (error) {
    const cause = error instanceof TRPCError ? error.cause : error;
    if (cause instanceof AtollError && cause.code === "workspace.not_found") return undefined;
    throw error;
  }
}
