"use client";
import { useEffect, useRef, useState } from "react";
import { useIsDark } from "#ui/use-is-dark.ts";
import type { DocumentModel } from "./document-model.ts";
import { EDITOR_OPTIONS } from "./editor-options.ts";

type Setup = typeof import("./monaco-setup.ts");
type Editor = ReturnType<Setup["monaco"]["editor"]["create"]>;
type ViewState = ReturnType<Editor["saveViewState"]>;

export interface CursorPosition {
  line: number;
  column: number;
  language: string;
}

export interface CodeEditorProps {
  document: DocumentModel;
  onCursor: (position: CursorPosition) => void;
  /** Keys that belong to the workbench, which Monaco would take. */
  onPalette: () => void;
}

/** One Monaco for all tabs: switching swaps the model and brings back cursor and scroll. */
export function CodeEditor({ document, onCursor, onPalette }: CodeEditorProps) {
  const holder = useRef<HTMLDivElement>(null);
  const [loaded, setLoaded] = useState<{ setup: Setup; editor: Editor }>();
  const viewStates = useRef(new Map<string, ViewState>());
  const isDark = useIsDark();
  const callbacks = useRef({ onCursor, onPalette });
  callbacks.current = { onCursor, onPalette };

  useEffect(() => {
    let isGone = false;
    let editor: Editor | undefined;
    void Promise.all([
      import("./monaco-setup.ts"),
      globalThis.document.fonts.load('13px "JetBrains Mono Variable"'),
    ]).then(([setup]) => {
      if (isGone || !holder.current) return;
      editor = setup.monaco.editor.create(holder.current, { ...EDITOR_OPTIONS, model: null });
      listen(editor, setup, callbacks);
      setLoaded({ setup, editor });
    });
    return () => {
      isGone = true;
      editor?.dispose();
    };
  }, []);

  useEffect(() => loaded?.setup.applyMonacoTheme(isDark), [loaded, isDark]);

  useEffect(() => {
    if (!loaded || !document.buffer) return;
    const { setup, editor } = loaded;
    const model = setup.modelOf(document.buffer);
    if (!model) return;
    editor.setModel(model);
    editor.restoreViewState(viewStates.current.get(document.path) ?? null);
    if (!isTypingElsewhere()) editor.focus();
    return () => {
      viewStates.current.set(document.path, editor.saveViewState());
    };
  }, [loaded, document, document.buffer]);

  return <div ref={holder} className="absolute inset-0" />;
}

/** An editor that finishes loading must not catch the keys meant for the terminal. */
function isTypingElsewhere(): boolean {
  return globalThis.document.activeElement?.matches("textarea, input, [contenteditable]") ?? false;
}

function listen(
  editor: Editor,
  { monaco }: Setup,
  callbacks: { current: Pick<CodeEditorProps, "onCursor" | "onPalette"> },
): void {
  const tell = () => {
    const position = editor.getPosition();
    const language = editor.getModel()?.getLanguageId();
    if (position && language)
      callbacks.current.onCursor({ line: position.lineNumber, column: position.column, language });
  };
  editor.onDidChangeCursorPosition(tell);
  editor.onDidChangeModel(tell);
  const open = () => callbacks.current.onPalette();
  editor.addCommand(monaco.KeyCode.F1, open);
  editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyMod.Shift | monaco.KeyCode.KeyP, open);
}
