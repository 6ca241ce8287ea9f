"use client";
import { AtollError } from "@atoll/protocol/atoll-error";
import { useEffect, useState } from "react";
import { toast } from "sonner";
import { useTRPCClient } from "#trpc/client.tsx";
import { toFailure } from "#ui/failure.ts";
import { tabId } from "../connection/tab-id.ts";
import {
  createWorkbenchModels,
  type WorkbenchModels,
  type WorkbenchModelsOptions,
} from "./workbench-models.ts";
import { workbenchStore } from "./workbench-state.ts";

/** The models of this page, for as long as it is shown. Opens again what was open the last time. */
export function useWorkbenchModels({
  workspaceId,
  gatewayUrl,
  idlePauseSeconds,
}: Pick<WorkbenchModelsOptions, "workspaceId" | "gatewayUrl" | "idlePauseSeconds">):
  | WorkbenchModels
  | undefined {
  const client = useTRPCClient();
  const [models, setModels] = useState<WorkbenchModels>();
  useEffect(() => {
    const made = createWorkbenchModels({
      workspaceId,
      gatewayUrl,
      tabId: tabId(),
      idlePauseSeconds,
      async fetchTicket() {
        try {
          return (await client.session.ticket.mutate({ workspaceId })).ticket;
        } catch (error) {
          const { code, details } = toFailure(error);
          throw new AtollError(code, undefined, { details });
        }
      },
    });
    const store = workbenchStore(workspaceId);
    const stopOffering = store.subscribe(({ preview }) => {
      if (preview) toast.dismiss(portToast(preview.port));
    });
    made.ports.onDidOpen = ({ port }) => {
      const { preview, set } = store.getState();
      if (preview?.port === port) return;
      toast(`Port ${port} is open`, {
        id: portToast(port),
        action: { label: "Preview", onClick: () => set({ preview: { port, path: "/" } }) },
      });
    };
    const stopRemembering = remember(made, workspaceId);
    const stopGuard = guardUnsaved(made);
    made.connection.start();
    setModels(made);
    return () => {
      stopOffering();
      stopGuard();
      stopRemembering();
      made.close();
    };
  }, [client, workspaceId, gatewayUrl, idlePauseSeconds]);
  return models;
}

const portToast = (port: number) => `port-${port}`;

/** Open tabs come back with the page, and so does every draft that never reached the machine. */
function remember({ editor, drafts }: WorkbenchModels, workspaceId: string): () => void {
  const store = workbenchStore(workspaceId);
  const { openPaths, activePath } = store.getState();
  for (const path of openPaths) editor.open(path);
  void drafts.list().then((kept) => {
    for (const draft of kept) editor.open(draft.path);
    const active = editor.state.get().documents.find(({ path }) => path === activePath);
    if (active && kept.length === 0) editor.activate(active);
  });
  const active = editor.state.get().documents.find(({ path }) => path === activePath);
  if (active) editor.activate(active);
  return editor.state.subscribe(() => {
    const { documents, active: front } = editor.state.get();
    store.getState().set({ openPaths: documents.map(({ path }) => path), activePath: front?.path });
  });
}

/** The browser asks before a tab with unsaved text goes away. */
function guardUnsaved({ editor }: WorkbenchModels): () => void {
  const onBeforeUnload = (event: BeforeUnloadEvent) => {
    if (!editor.hasUnsaved) return;
    void editor.saveAll();
    event.preventDefault();
  };
  addEventListener("beforeunload", onBeforeUnload);
  return () => removeEventListener("beforeunload", onBeforeUnload);
}
