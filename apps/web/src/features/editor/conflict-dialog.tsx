"use client";
import { useEffect, useRef } from "react";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { baseName } from "../files/guest-path.ts";
import type { DocumentModel } from "./document-model.ts";

/** Theirs on the left, yours on the right. */
export function ConflictDialog({ document, onClose }: { document: DocumentModel; onClose: () => void }) {
  const holder = useRef<HTMLDivElement>(null);
  const choose = (act: () => void) => {
    onClose();
    act();
  };
  useEffect(() => {
    const { conflict } = document.state.get();
    let dispose = () => {};
    let isGone = false;
    void import("./monaco-setup.ts").then(({ monaco }) => {
      if (isGone || !holder.current || !conflict) return;
      const theirs = monaco.editor.createModel(conflict.theirs ?? "", "plaintext");
      const yours = monaco.editor.createModel(document.buffer?.getText() ?? "", "plaintext");
      const editor = monaco.editor.createDiffEditor(holder.current, {
        readOnly: true,
        automaticLayout: true,
        minimap: { enabled: false },
        fontSize: 13,
      });
      editor.setModel({ original: theirs, modified: yours });
      dispose = () => {
        editor.dispose();
        theirs.dispose();
        yours.dispose();
      };
    });
    return () => {
      isGone = true;
      dispose();
    };
  }, [document]);
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`${baseName(document.path)}: two versions`}
      description="Left: on the machine's disk. Right: your text."
      className="max-w-5xl"
    >
      <div ref={holder} className="h-[50vh] overflow-hidden rounded-lg border border-line" />
      <DialogActions>
        <Button onClick={onClose}>Decide later</Button>
        <Button onClick={() => choose(() => document.takeTheirs())}>Take theirs</Button>
        <Button tone="primary" onClick={() => choose(() => void document.overwrite())}>
          Overwrite with mine
        </Button>
      </DialogActions>
    </Dialog>
  );
}
