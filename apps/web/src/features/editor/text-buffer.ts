/** The text being edited, whatever draws it. */
export interface TextBuffer {
  getText(): string;
  /** Replaces the text as one undoable edit. */
  setText(text: string): void;
  /** Equal tokens mean equal text; undoing back to a saved text gives its token again. */
  versionToken(): number;
  onDidChange(listener: () => void): void;
  dispose(): void;
}

export type CreateTextBuffer = (path: string, text: string) => Promise<TextBuffer>;
