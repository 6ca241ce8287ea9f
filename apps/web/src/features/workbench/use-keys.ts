"use client";
import { useEffect, useRef } from "react";

export interface WorkbenchKeys {
  palette: () => void;
  save: () => void;
  togglePanel: () => void;
  toggleSide: () => void;
  newTerminal: () => void;
  closeFile: () => void;
  stepFile: (by: 1 | -1) => void;
}

/** Keys that work wherever the focus is. Those the browser keeps (Ctrl+W, Ctrl+T, Ctrl+N) are not tried. */
export function useKeys(keys: WorkbenchKeys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const act = actionOf(event, latest.current);
      if (!act) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    };
    // Before editor and terminal see them.
    addEventListener("keydown", onKeyDown, { capture: true });
    return () => removeEventListener("keydown", onKeyDown, { capture: true });
  }, []);
}

function actionOf(event: KeyboardEvent, keys: WorkbenchKeys): (() => void) | undefined {
  const key = event.key.toLowerCase();
  if (key === "f1") return keys.palette;
  if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyW") return keys.closeFile;
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return undefined;
  if (event.shiftKey) {
    if (key === "p") return keys.palette;
    if (event.code === "Backquote") return keys.newTerminal;
    return undefined;
  }
  const isInTerminal = (event.target as HTMLElement).closest(".xterm") !== null;
  if (event.code === "Backquote") return keys.togglePanel;
  // Ctrl+J, Ctrl+B, Ctrl+S and paging belong to the shell while it has the focus.
  if (isInTerminal && !event.metaKey) return undefined;
  if (key === "s") return keys.save;
  if (key === "j") return keys.togglePanel;
  if (key === "b") return keys.toggleSide;
  if (key === "pagedown") return () => keys.stepFile(1);
  if (key === "pageup") return () => keys.stepFile(-1);
  return undefined;
}
