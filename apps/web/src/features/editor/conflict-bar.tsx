"use client";
import { useState } from "react";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { toastFailure } from "#ui/toaster.tsx";
import { baseName } from "../files/guest-path.ts";
import { useModelState } from "../use-model-state.ts";
import { ConflictDialog } from "./conflict-dialog.tsx";
import type { DocumentModel } from "./document-model.ts";

/** Above the text while it and the disk disagree, or while it cannot be saved. */
export function ConflictBar({ document }: { document: DocumentModel }) {
  const { conflict, saveError, isRestoredDraft } = useModelState(document.state);
  const [isComparing, setComparing] = useState(false);
  if (conflict) {
    return (
      <div
        role="alert"
        className="flex flex-wrap items-center gap-2 border-line border-b bg-warn-soft px-4 py-2 text-sm"
      >
        <p className="min-w-60 flex-1 text-ink">
          {baseName(document.path)} changed on disk while you were editing it. Both versions are kept until
          you choose.
        </p>
        <Button size="sm" onClick={() => setComparing(true)}>
          Compare
        </Button>
        <Button size="sm" onClick={() => void document.overwrite()}>
          Overwrite
        </Button>
        <Button size="sm" onClick={() => document.takeTheirs()}>
          Take theirs
        </Button>
        {isComparing ? <ConflictDialog document={document} onClose={() => setComparing(false)} /> : null}
      </div>
    );
  }
  if (saveError && saveError.code !== "link.lost" && saveError.code !== "workspace.not_running") {
    const { what, now, code } = failureOf(saveError.code);
    return (
      <div
        role="alert"
        className="flex flex-wrap items-center gap-2 border-line border-b bg-danger-soft px-4 py-2 text-sm"
      >
        <p className="min-w-60 flex-1">
          <span className="font-medium">Not saved: {what}</span> {now} Your text is kept in this browser.{" "}
          <span className="font-mono text-2xs text-ink-soft">{code}</span>
        </p>
        <Button size="sm" onClick={() => document.save().catch(toastFailure)}>
          Save again
        </Button>
      </div>
    );
  }
  if (isRestoredDraft) {
    return (
      <p role="status" className="border-line border-b bg-info-soft px-4 py-2 text-info text-sm">
        This text had not reached the machine when the tab closed. It is restored and being saved.
      </p>
    );
  }
  return null;
}
