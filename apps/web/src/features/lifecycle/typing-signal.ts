export interface TypingSignalOptions {
  target: Pick<EventTarget, "addEventListener" | "removeEventListener">;
  onTyped: () => void;
}

/** Where text goes into the workspace itself. */
export const INTO_WORKSPACE = ".monaco-editor, .xterm";
/** Text of the page's own, and what stands over the workspace. */
const OF_THE_PAGE = "input, textarea, select, [role=dialog], [role=menu], [role=listbox]";
const CONTROL = "button, a";

/** Tells of keys that write into editor or terminal, or are struck with nothing focused; commands and moving about are none. */
export class TypingSignal {
  readonly #options: TypingSignalOptions;

  constructor(options: TypingSignalOptions) {
    this.#options = options;
    options.target.addEventListener("keydown", this.#onKey, { capture: true, passive: true });
  }

  close(): void {
    this.#options.target.removeEventListener("keydown", this.#onKey, { capture: true });
  }

  readonly #onKey = (event: Event) => {
    if (isTyping(event as KeyboardEvent)) this.#options.onTyped();
  };
}

export function isTyping(event: KeyboardEvent): boolean {
  const { key, target } = event;
  const element = target as Partial<Element> | null;
  const isIn = (selector: string) => element?.closest?.(selector) != null;
  if (!isIn(INTO_WORKSPACE) && (isIn(OF_THE_PAGE) || (isIn(CONTROL) && (key === "Enter" || key === " "))))
    return false;
  if (event.ctrlKey || event.metaKey || event.altKey)
    // Third level of a keyboard writes; of the commands only those that put text in.
    return event.getModifierState("AltGraph") || (!event.altKey && /^[vx]$/i.test(key));
  if (key === "Tab") return isIn(INTO_WORKSPACE);
  // Input methods and screen keyboards do not say which key.
  return key.length === 1 || ["Enter", "Backspace", "Delete", "Process", "Unidentified"].includes(key);
}
