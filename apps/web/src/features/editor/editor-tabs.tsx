"use client";
import { X } from "lucide-react";
import { classNames } from "#ui/class-names.ts";
import { FileIcon } from "../files/file-icon.tsx";
import { baseName, shownPath } from "../files/guest-path.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import type { DocumentModel } from "./document-model.ts";

export function EditorTabs() {
  const { editor } = useModels();
  const { documents, active } = useModelState(editor.state);
  return (
    <div
      role="tablist"
      aria-label="Open files"
      className="flex h-9 shrink-0 overflow-x-auto border-line border-b bg-canvas"
      style={{ scrollbarWidth: "none" }}
    >
      {documents.map((document) => (
        <EditorTab key={document.path} document={document} isActive={document === active} />
      ))}
    </div>
  );
}

function EditorTab({ document, isActive }: { document: DocumentModel; isActive: boolean }) {
  const { editor } = useModels();
  const { isDirty, conflict, isDeleted } = useModelState(document.state);
  const name = baseName(document.path);
  const close = () => void editor.close(document);
  return (
    <div
      className={classNames(
        "group relative flex shrink-0 items-center border-line border-r text-ink-soft text-sm",
        isActive ? "bg-surface text-ink" : "hover:bg-hover",
      )}
    >
      {isActive ? <span aria-hidden className="absolute inset-x-0 top-0 h-0.5 bg-accent" /> : null}
      <button
        type="button"
        role="tab"
        aria-selected={isActive}
        aria-label={isDirty ? `${name}, unsaved` : isDeleted ? `${name}, deleted` : name}
        title={shownPath(document.path)}
        onClick={() => editor.activate(document)}
        onAuxClick={(event) => event.button === 1 && close()}
        className="flex h-full items-center gap-1.5 pr-1 pl-3 outline-offset-[-2px]"
      >
        <FileIcon name={name} className="size-3.5" />
        <span
          className={classNames("max-w-48 truncate", conflict && "text-danger", isDeleted && "line-through")}
        >
          {name}
        </span>
      </button>
      <button
        type="button"
        aria-label={`Close ${name}`}
        onClick={close}
        className="mr-1.5 grid size-5 place-items-center rounded-sm hover:bg-active"
      >
        {isDirty ? <span aria-hidden className="size-2 rounded-full bg-ink-soft group-hover:hidden" /> : null}
        <X
          aria-hidden
          className={classNames(
            "size-3.5",
            isDirty
              ? "hidden group-hover:block"
              : !isActive && "opacity-0 group-focus-within:opacity-100 group-hover:opacity-100",
          )}
        />
      </button>
    </div>
  );
}
