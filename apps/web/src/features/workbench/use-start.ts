"use client";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTRPC } from "#trpc/client.tsx";
import { advanceProgress, type StartProgress } from "../connection/start-progress.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";

/** Progress of the present start, over all the states that come in. */
export function useStartProgress(): StartProgress | undefined {
  const { connection } = useModels();
  const { status } = useModelState(connection.state);
  const [progress, setProgress] = useState<StartProgress>();
  useEffect(() => {
    if (status) setProgress((before) => advanceProgress(before, status, Date.now()));
  }, [status]);
  return progress;
}

/** Asks the control plane to make or start the machine: for one that was never made, and after a failure. */
export function useStartMachine(workspaceId: string, isUnstarted: boolean) {
  const trpc = useTRPC();
  const { connection } = useModels();
  const start = useMutation(
    trpc.workspace.resume.mutationOptions({ onSuccess: () => connection.reconnectNow() }),
  );
  const { mutate } = start;
  const isAsked = useRef(false);
  useEffect(() => {
    if (!isUnstarted || isAsked.current) return;
    isAsked.current = true;
    mutate({ id: workspaceId });
  }, [isUnstarted, mutate, workspaceId]);
  return start;
}
