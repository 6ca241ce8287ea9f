/** Monaco, its workers from our own origin, and its colours from the product's. Loaded when the first file is opened. */
import * as monaco from "monaco-editor";
import { languageByPath } from "./language-by-path.ts";
import type { TextBuffer } from "./text-buffer.ts";

// One literal URL each: that is how the bundler finds them. A worker starts with the first file of its kind.
const WORKERS: Record<string, () => Worker> = {
  json: () =>
    new Worker(new URL("monaco-editor/language/json/json.worker.js", import.meta.url), { type: "module" }),
  css: () =>
    new Worker(new URL("monaco-editor/language/css/css.worker.js", import.meta.url), { type: "module" }),
  html: () =>
    new Worker(new URL("monaco-editor/language/html/html.worker.js", import.meta.url), { type: "module" }),
  typescript: () =>
    new Worker(new URL("monaco-editor/language/typescript/ts.worker.js", import.meta.url), {
      type: "module",
    }),
};
WORKERS.scss = WORKERS.css as () => Worker;
WORKERS.less = WORKERS.css as () => Worker;
WORKERS.handlebars = WORKERS.html as () => Worker;
WORKERS.razor = WORKERS.html as () => Worker;
WORKERS.javascript = WORKERS.typescript as () => Worker;

// Types of the machine's packages are not known here, so "cannot find module" would be wrong nearly always.
for (const defaults of [monaco.typescript.typescriptDefaults, monaco.typescript.javascriptDefaults]) {
  defaults.setDiagnosticsOptions({ noSemanticValidation: true, noSuggestionDiagnostics: true });
}

self.MonacoEnvironment = {
  getWorker: (_id, label) =>
    WORKERS[label]?.() ??
    new Worker(new URL("monaco-editor/editor/editor.worker.js", import.meta.url), { type: "module" }),
};

export { monaco };

/** Colours of `ui/tokens.css` as Monaco wants them. */
export function applyMonacoTheme(isDark: boolean): void {
  const style = getComputedStyle(document.documentElement);
  const color = (token: string) => toHex(style.getPropertyValue(`--${token}`).trim());
  const name = isDark ? "atoll-dark" : "atoll-light";
  monaco.editor.defineTheme(name, {
    base: isDark ? "vs-dark" : "vs",
    inherit: true,
    rules: [],
    colors: {
      "editor.background": color("surface"),
      "editor.foreground": color("ink"),
      "editor.lineHighlightBackground": color("hover"),
      "editor.lineHighlightBorder": "#00000000",
      "editorLineNumber.foreground": color("ink-faint"),
      "editorLineNumber.activeForeground": color("ink"),
      "editorCursor.foreground": color("accent"),
      "editor.selectionBackground": color("selection"),
      "editorIndentGuide.background1": color("line"),
      "editorWidget.background": color("raised"),
      "editorWidget.border": color("line"),
      "editorHoverWidget.background": color("raised"),
      "editorSuggestWidget.background": color("raised"),
      "editorGutter.background": color("surface"),
      "minimap.background": color("surface"),
      "scrollbar.shadow": "#00000000",
      focusBorder: color("focus"),
    },
  });
  monaco.editor.setTheme(name);
}

/** Monaco takes six or eight digits; the build shortens `#ffffff` to `#fff`. */
function toHex(color: string): string {
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(color);
  return short
    ? `#${short
        .slice(1)
        .map((digit) => digit + digit)
        .join("")}`
    : color;
}

const models = new WeakMap<TextBuffer, monaco.editor.ITextModel>();

/** The Monaco model behind a buffer that `monacoBuffer` made. */
export function modelOf(buffer: TextBuffer): monaco.editor.ITextModel | undefined {
  return models.get(buffer);
}

export function monacoBuffer(path: string, text: string): TextBuffer {
  const uri = monaco.Uri.from({ scheme: "file", path });
  monaco.editor.getModel(uri)?.dispose();
  const model = monaco.editor.createModel(text, languageByPath(path), uri);
  const buffer: TextBuffer = {
    getText: () => model.getValue(undefined, true),
    setText(next) {
      if (next === model.getValue(undefined, true)) return;
      model.pushStackElement();
      model.pushEditOperations([], [{ range: model.getFullModelRange(), text: next }], () => null);
      model.pushStackElement();
    },
    versionToken: () => model.getAlternativeVersionId(),
    onDidChange: (listener) => void model.onDidChangeContent(listener),
    dispose: () => model.dispose(),
  };
  models.set(buffer, model);
  return buffer;
}
