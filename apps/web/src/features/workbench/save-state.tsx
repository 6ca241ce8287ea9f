"use client";
import { useEffect, useState } from "react";
import type { EditorModel } from "../editor/editor-model.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";

type Summary = "unknown" | "saved" | "saving" | "unsaved" | "conflict";
const WORDS: Record<Summary, string> = {
  unknown: "",
  saved: "All changes saved",
  saving: "Saving…",
  unsaved: "Unsaved changes",
  conflict: "Conflict",
};

export function SaveState() {
  const { editor } = useModels();
  const { documents } = useModelState(editor.state);
  const summary = useSaveSummary(editor);
  if (documents.length === 0 || summary === "unknown") return null;
  return (
    <span role="status" aria-label="Saving" className="shrink-0 px-1.5">
      {WORDS[summary]}
    </span>
  );
}

function useSaveSummary(editor: EditorModel): Summary {
  const { documents } = useModelState(editor.state);
  const [summary, setSummary] = useState<Summary>("saved");
  useEffect(() => {
    const read = () => {
      const states = documents.map((document) => document.state.get());
      // A file still being opened may have a draft that was never saved.
      if (states.some(({ phase }) => phase === "loading")) setSummary("unknown");
      else if (states.some(({ conflict }) => conflict)) setSummary("conflict");
      else if (states.some(({ isSaving }) => isSaving)) setSummary("saving");
      else setSummary(states.some(({ isDirty }) => isDirty) ? "unsaved" : "saved");
    };
    read();
    const stops = documents.map((document) => document.state.subscribe(read));
    return () => {
      for (const stop of stops) stop();
    };
  }, [documents]);
  return summary;
}
