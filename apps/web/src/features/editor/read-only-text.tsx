"use client";
import { useEffect, useRef, useState } from "react";
import { useIsDark } from "#ui/use-is-dark.ts";
import { EDITOR_OPTIONS } from "./editor-options.ts";

type Setup = typeof import("./monaco-setup.ts");
type Editor = ReturnType<Setup["monaco"]["editor"]["create"]>;

/** A text to read, coloured by its name. Nothing can be typed into it. */
export function ReadOnlyText({ path, text }: { path: string; text: string }) {
  const holder = useRef<HTMLDivElement>(null);
  const [loaded, setLoaded] = useState<{ setup: Setup; editor: Editor }>();
  const isDark = useIsDark();
  useEffect(() => {
    let isGone = false;
    let editor: Editor | undefined;
    void import("./monaco-setup.ts").then((setup) => {
      if (isGone || !holder.current) return;
      editor = setup.monaco.editor.create(holder.current, {
        ...EDITOR_OPTIONS,
        ariaLabel: "Stored file, read-only",
        readOnly: true,
        domReadOnly: true,
        model: null,
      });
      setLoaded({ setup, editor });
    });
    return () => {
      isGone = true;
      editor?.dispose();
    };
  }, []);
  useEffect(() => loaded?.setup.applyMonacoTheme(isDark), [loaded, isDark]);
  useEffect(() => {
    if (!loaded) return;
    const buffer = loaded.setup.monacoBuffer(path, text);
    loaded.editor.setModel(loaded.setup.modelOf(buffer) ?? null);
    return () => {
      loaded.editor.setModel(null);
      buffer.dispose();
    };
  }, [loaded, path, text]);
  return <div ref={holder} className="absolute inset-0" />;
}
