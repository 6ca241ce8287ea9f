"use client";
import { X } from "lucide-react";
import { useEffect, useRef } from "react";
import { classNames } from "#ui/class-names.ts";
import { onTabKey } from "#ui/tab-keys.ts";
import { FileIcon } from "../files/file-icon.tsx";
import { baseName, parentPath, shownPath } from "../files/guest-path.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import type { DocumentModel } from "./document-model.ts";

export function EditorTabs() {
  const { editor } = useModels();
  const { documents, active } = useModelState(editor.state);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = list.current;
    if (!element) return;
    // A preview that opens beside takes room: the tab in front stays in sight.
    const observer = new ResizeObserver(() =>
      element
        .querySelector("[aria-selected=true]")
        ?.parentElement?.scrollIntoView({ block: "nearest", inline: "nearest" }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <div
      ref={list}
      role="tablist"
      aria-label="Open files"
      className="flex h-9 shrink-0 overflow-x-auto border-line border-b bg-canvas"
      style={{ scrollbarWidth: "none" }}
    >
      {documents.map((document) => (
        <EditorTab
          key={document.path}
          document={document}
          isActive={document === active}
          folder={documents.some((other) => isNamesake(other, document)) ? folderOf(document) : undefined}
        />
      ))}
    </div>
  );
}

function isNamesake(other: DocumentModel, document: DocumentModel): boolean {
  return other !== document && baseName(other.path) === baseName(document.path);
}

function folderOf({ path }: DocumentModel): string {
  return shownPath(parentPath(path)) || "/";
}

interface EditorTabProps {
  document: DocumentModel;
  isActive: boolean;
  /** Shown where two open files have the same name. */
  folder: string | undefined;
}

function EditorTab({ document, isActive, folder }: EditorTabProps) {
  const { editor } = useModels();
  const tab = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isActive) tab.current?.parentElement?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [isActive]);
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
        ref={tab}
        type="button"
        role="tab"
        aria-selected={isActive}
        tabIndex={isActive ? 0 : -1}
        onKeyDown={(event) => onTabKey(event, close)}
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
        {folder === undefined ? null : (
          <span className="max-w-32 truncate text-ink-faint text-xs">{folder}</span>
        )}
      </button>
      <button
        type="button"
        aria-label={`Close ${name}`}
        tabIndex={isActive ? 0 : -1}
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
