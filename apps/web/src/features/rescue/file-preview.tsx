"use client";
import { Download, FileSearch, FileX, RotateCcw } from "lucide-react";
import dynamic from "next/dynamic";
import { Button } from "#ui/button.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { dateWords } from "#ui/date-words.ts";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { baseName } from "../files/guest-path.ts";
import { useModelState } from "../use-model-state.ts";
import type { PreviewModel } from "./preview-model.ts";
import { workspacePath } from "./view-path.ts";

const ReadOnlyText = dynamic(
  () => import("../editor/read-only-text.tsx").then((module) => module.ReadOnlyText),
  { ssr: false },
);

export interface FilePreviewProps {
  model: PreviewModel;
  onDownload: (path: string) => void;
  /** Absent: the workspace's own disk is looked at, so there is nothing to bring back. */
  onRestore: ((path: string) => void) | undefined;
}

export function FilePreview({ model, onDownload, onRestore }: FilePreviewProps) {
  const { path, phase, text, sizeBytes, modifiedAtMs, error } = useModelState(model.state);
  if (path === undefined)
    return (
      <div className="grid h-full place-content-center justify-items-center gap-3 bg-surface px-6 text-center">
        <FileSearch aria-hidden className="size-8 text-line-strong" strokeWidth={1.5} />
        <p className="text-ink-soft text-sm">Choose a file to look at it.</p>
      </div>
    );
  return (
    <section aria-label="Preview of file" className="flex h-full flex-col bg-surface">
      <div className="flex min-h-10 shrink-0 flex-wrap items-center gap-2 border-line border-b px-3 py-1">
        <p className="min-w-0 flex-1 truncate font-mono text-xs" title={workspacePath(path)}>
          {workspacePath(path)}
        </p>
        {modifiedAtMs > 0 ? (
          <p className="text-ink-faint text-xs tabular-nums">
            {byteWords(sizeBytes)}, changed {dateWords(modifiedAtMs, Date.now())}
          </p>
        ) : null}
        {onRestore ? (
          <Button size="sm" onClick={() => onRestore(path)}>
            <RotateCcw aria-hidden className="size-3.5!" /> Restore this…
          </Button>
        ) : null}
        <Button size="sm" onClick={() => onDownload(path)}>
          <Download aria-hidden className="size-3.5!" /> Download
        </Button>
      </div>
      <div className="relative min-h-0 flex-1">
        {phase === "text" ? <ReadOnlyText path={path} text={text} /> : null}
        {phase === "loading" ? (
          <div className="grid h-full place-items-center text-ink-faint" role="status" aria-label="Opening">
            <Spinner className="size-5" />
          </div>
        ) : null}
        {phase === "binary" || phase === "too_large" ? (
          <div className="grid h-full place-content-center justify-items-center gap-2 px-6 text-center">
            <FileX aria-hidden className="size-7 text-ink-faint" />
            <p className="font-medium">
              {baseName(path)} {phase === "binary" ? "is not text" : "is too large to show"}
            </p>
            <p className="text-ink-soft text-sm">Download it to use it ({byteWords(sizeBytes)}).</p>
          </div>
        ) : null}
        {phase === "failed" ? (
          <div className="mx-auto max-w-md p-6">
            <FailureNote failure={failureOf(error?.code)}>
              <Button size="sm" className="mt-2 justify-self-start" onClick={() => void model.open(path)}>
                Try again
              </Button>
            </FailureNote>
          </div>
        ) : null}
      </div>
    </section>
  );
}
