"use client";
import { useEffect, useRef, useState } from "react";
import { toastFailure } from "#ui/toaster.tsx";
import { useIsDark } from "#ui/use-is-dark.ts";
import { useModels } from "../workbench/models-context.tsx";
import { createScreen, type Screen } from "./create-screen.ts";
import { TerminalSession } from "./terminal-session.ts";
import { terminalTheme } from "./terminal-theme.ts";
import "@xterm/xterm/css/xterm.css";

const encoder = new TextEncoder();

export interface TerminalViewProps {
  terminalId: string;
  title: string;
  isActive: boolean;
}

/** Stays mounted while its tab is behind another one, so that output is drawn once and scrollback is kept. */
export function TerminalView({ terminalId, title, isActive }: TerminalViewProps) {
  const { connection } = useModels();
  const holder = useRef<HTMLDivElement>(null);
  const isDark = useIsDark();
  const [screen, setScreen] = useState<Screen>();
  const firstTheme = useRef(isDark);

  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    let isGone = false;
    let stop = () => {};
    // Measuring before the font is there gives cells of the wrong width.
    void document.fonts.load('13px "JetBrains Mono Variable"').finally(() => {
      if (isGone) return;
      const made = createScreen(element, firstTheme.current);
      stop = connect(made, { connection, terminalId, element });
      setScreen(made);
    });
    return () => {
      isGone = true;
      stop();
    };
  }, [connection, terminalId]);

  useEffect(() => {
    if (screen) screen.terminal.options.theme = terminalTheme(isDark);
  }, [screen, isDark]);

  useEffect(() => {
    if (!screen || !isActive) return;
    screen.fit();
    screen.terminal.focus();
  }, [screen, isActive]);

  return (
    <section
      ref={holder}
      aria-label={`Terminal ${title}`}
      className="absolute inset-0 pt-1 pl-3"
      style={{ visibility: isActive ? "visible" : "hidden" }}
    />
  );
}

interface ConnectTo {
  connection: ConstructorParameters<typeof TerminalSession>[0]["connection"];
  terminalId: string;
  element: HTMLElement;
}

/** Joins a screen to its shell. @returns what ends both */
function connect(screen: Screen, { connection, terminalId, element }: ConnectTo): () => void {
  const { terminal } = screen;
  const size = screen.fit() ?? { cols: terminal.cols, rows: terminal.rows };
  const session = new TerminalSession({ connection, terminalId, screen, size, onInputLost: toastFailure });
  terminal.onData((text) => session.input(encoder.encode(text)));
  terminal.onBinary((text) => session.input(Uint8Array.from(text, (char) => char.charCodeAt(0))));
  terminal.attachCustomKeyEventHandler((event) => handleKey(event, screen));
  const observer = new ResizeObserver(() => {
    const next = screen.fit();
    if (next) session.resize(next.cols, next.rows);
  });
  observer.observe(element);
  const show = () => {
    const { exit, isAttached } = session.state.get();
    terminal.options.cursorBlink = exit === undefined;
    // Keys that are typed while it is busy go nowhere.
    element.ariaBusy = String(!isAttached);
  };
  show();
  const stopState = session.state.subscribe(show);
  return () => {
    observer.disconnect();
    stopState();
    session.close();
    screen.dispose();
  };
}

/** Keys of the workbench and the clipboard go past the shell. */
function handleKey(event: KeyboardEvent, { terminal }: Screen): boolean {
  if (event.type !== "keydown") return true;
  const key = event.key.toLowerCase();
  if (key === "f1" || (event.ctrlKey && event.shiftKey && key === "p")) return false;
  if (event.ctrlKey && key === "`") return false;
  const isCopy = (event.ctrlKey && event.shiftKey && key === "c") || (event.metaKey && key === "c");
  if (isCopy && terminal.hasSelection()) {
    void navigator.clipboard.writeText(terminal.getSelection());
    event.preventDefault();
    return false;
  }
  // The browser's own paste event reaches xterm, which brackets it where the program asked.
  if (event.ctrlKey && event.shiftKey && key === "v") return false;
  return true;
}
