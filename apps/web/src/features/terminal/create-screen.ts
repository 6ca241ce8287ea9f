/** xterm with the addons we use. OSC 52 stays off: output must not reach the clipboard. */
import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import type { TerminalScreen } from "./terminal-session.ts";
import { terminalTheme } from "./terminal-theme.ts";

export interface Screen extends TerminalScreen {
  terminal: Terminal;
  /** Grid that fits the element now; undefined while it has no size. */
  fit: () => { cols: number; rows: number } | undefined;
  dispose: () => void;
}

const SCROLLBACK_LINES = 10_000;

export function createScreen(element: HTMLElement, isDark: boolean): Screen {
  const terminal = new Terminal({
    allowProposedApi: true,
    cursorBlink: true,
    fontFamily: '"JetBrains Mono Variable", "DejaVu Sans Mono", monospace',
    fontSize: 13,
    lineHeight: 1.25,
    scrollback: SCROLLBACK_LINES,
    minimumContrastRatio: 4.5,
    macOptionIsMeta: true,
    theme: terminalTheme(isDark),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  terminal.loadAddon(
    new WebLinksAddon((event, uri) => {
      // As in every editor: a plain click places the cursor, Ctrl or Cmd follows the link.
      if (event.ctrlKey || event.metaKey) window.open(uri, "_blank", "noopener,noreferrer");
    }),
  );
  terminal.open(element);
  drawWithGpu(terminal);
  return {
    terminal,
    write: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
    reset: () => terminal.reset(),
    resize: (cols, rows) => terminal.resize(cols, rows),
    fit() {
      if (element.clientWidth === 0 || element.clientHeight === 0) return undefined;
      const proposed = fit.proposeDimensions();
      if (!proposed || !(proposed.cols > 1) || !(proposed.rows > 0)) return undefined;
      if (proposed.cols !== terminal.cols || proposed.rows !== terminal.rows)
        terminal.resize(proposed.cols, proposed.rows);
      return { cols: proposed.cols, rows: proposed.rows };
    },
    dispose: () => terminal.dispose(),
  };
}

/** Without WebGL, or when the GPU is lost, xterm draws with the DOM by itself. */
function drawWithGpu(terminal: Terminal): void {
  try {
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose());
    terminal.loadAddon(webgl);
  } catch {
    // The DOM renderer is complete; only slower.
  }
}
