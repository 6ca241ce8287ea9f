"use client";
import { FileCode2, FileX } from "lucide-react";
import dynamic from "next/dynamic";
import type { ReactNode } from "react";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Kbd } from "#ui/kbd.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { baseName } from "../files/guest-path.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import type { CursorPosition } from "./code-editor.tsx";
import { ConflictBar } from "./conflict-bar.tsx";
import type { DocumentModel } from "./document-model.ts";
import { EditorTabs } from "./editor-tabs.tsx";

const CodeEditor = dynamic(() => import("./code-editor.tsx").then((module) => module.CodeEditor), {
  ssr: false,
});

export interface EditorAreaProps {
  onCursor: (position: CursorPosition) => void;
  onPalette: () => void;
  onDownload: (path: string) => void;
}

export function EditorArea({ onCursor, onPalette, onDownload }: EditorAreaProps) {
  const { editor } = useModels();
  const { documents, active, closing } = useModelState(editor.state);
  return (
    <section aria-label="Editor area" className="flex h-full flex-col bg-surface">
      {documents.length > 0 ? <EditorTabs /> : null}
      {active ? (
        <OpenDocument document={active} onDownload={() => onDownload(active.path)}>
          <CodeEditor document={active} onCursor={onCursor} onPalette={onPalette} />
        </OpenDocument>
      ) : (
        <NothingOpen />
      )}
      <Dialog
        open={closing !== undefined}
        onOpenChange={(open) => !open && editor.cancelClose()}
        title={`${closing ? baseName(closing.path) : ""} is not saved`}
        description="It could not be saved to the machine just now. Closing it throws the changes away."
      >
        <DialogActions>
          <Button tone="danger" onClick={() => void editor.discardAndClose()}>
            Throw changes away
          </Button>
          <Button tone="primary" onClick={() => editor.cancelClose()}>
            Keep it open
          </Button>
        </DialogActions>
      </Dialog>
    </section>
  );
}

interface OpenDocumentProps {
  document: DocumentModel;
  onDownload: () => void;
  children: ReactNode;
}

function OpenDocument({ document, onDownload, children }: OpenDocumentProps) {
  const { phase, error } = useModelState(document.state);
  const isTooLarge = error?.code === "file.too_large";
  return (
    <>
      <ConflictBar document={document} />
      <div className="relative min-h-0 flex-1">
        {phase === "ready" ? children : null}
        {phase === "loading" ? (
          <div className="grid h-full place-items-center text-ink-faint" role="status" aria-label="Opening">
            <Spinner className="size-5" />
          </div>
        ) : null}
        {phase === "failed" && error ? (
          <div className="mx-auto max-w-md p-6">
            <FailureNote failure={failureOf(error.code)}>
              <Button
                size="sm"
                className="mt-2 justify-self-start"
                onClick={() => (isTooLarge ? onDownload() : void document.load())}
              >
                {isTooLarge ? "Download" : "Try again"}
              </Button>
            </FailureNote>
          </div>
        ) : null}
        {phase === "binary" ? (
          <div className="grid h-full place-content-center justify-items-center gap-2 px-6 text-center">
            <FileX aria-hidden className="size-7 text-ink-faint" />
            <p className="font-medium">{baseName(document.path)} is not text</p>
            <p className="text-ink-soft text-sm">
              Opening it here would damage it. Use a program in the terminal, or download it.
            </p>
            <Button className="mt-2" onClick={onDownload}>
              Download
            </Button>
          </div>
        ) : null}
      </div>
    </>
  );
}

function NothingOpen() {
  const hints = [
    ["F1", "All commands"],
    ["Ctrl S", "Save (saving is automatic)"],
    ["Ctrl J", "Show or hide the terminal"],
  ];
  return (
    <div className="grid flex-1 place-content-center justify-items-center gap-4 px-6">
      <FileCode2 aria-hidden className="size-8 text-line-strong" strokeWidth={1.5} />
      <p className="text-ink-soft text-sm">Choose a file in the explorer to edit it.</p>
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-3 gap-y-1.5 text-ink-faint text-xs">
        {hints.map(([keys, text]) => (
          <div key={keys} className="contents">
            <dt className="justify-self-end">
              <Kbd>{keys}</Kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
