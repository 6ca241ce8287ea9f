"use client";
import { useEffect } from "react";
import { stateWords } from "../dashboard/state-words.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";
import { useStartProgress } from "./use-start.ts";

/** The tab says what the machine does when it is not simply there, with the steps done of a start. */
export function usePageTitle(name: string): void {
  const { connection } = useModels();
  const { phase, status, wasLinked } = useModelState(connection.state);
  const progress = useStartProgress();
  const word = phase.name === "connected" || !wasLinked ? stateWord() : "Offline";
  useEffect(() => {
    document.title = `${word === undefined ? "" : `${word} · `}${name} · Atoll`;
  }, [word, name]);

  function stateWord(): string | undefined {
    if (status === undefined) return undefined;
    const { label, shape } = stateWords(status);
    if (shape === "running") return undefined;
    const isStarting = status.state === "creating" || status.state === "resuming";
    if (isStarting && progress) return `${Math.round((progress.index / progress.total) * 100)} %`;
    return label;
  }
}
