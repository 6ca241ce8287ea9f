"use client";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";
import { failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { useModelState } from "../use-model-state.ts";
import type { FileTreeModel, TreeEdit, TreeRow } from "./file-tree-model.ts";
import { baseName } from "./guest-path.ts";
import { TreeInput } from "./tree-input.tsx";
import { handleTreeKey } from "./tree-keyboard.ts";
import { TREE_ROW_PX, TreeRowView, treeRowId } from "./tree-row-view.tsx";

type Item = { type: "row"; row: TreeRow } | { type: "edit"; edit: TreeEdit; depth: number; key: string };

export interface FileTreeViewProps {
  tree: FileTreeModel;
  onOpen: (path: string) => void;
  /** Items of a row's context menu. */
  menuFor: (row: TreeRow) => ReactNode;
  /** Absent: files can only be looked at. */
  edits?:
    | {
        /** Does what the inline input asked for; throws to keep the input. */
        finish: (name: string) => Promise<void>;
        remove: (row: TreeRow) => void;
      }
    | undefined;
  /** Selected whenever it changes. */
  activePath?: string | undefined;
  emptyText: string;
}

/** Thousands of rows cost as much as the few that are in sight. */
export function FileTreeView(props: FileTreeViewProps) {
  const { tree, onOpen, menuFor, edits, activePath, emptyText } = props;
  const state = useModelState(tree.state);
  const scroller = useRef<HTMLDivElement>(null);
  const items = withEdit(state.rows, state.edit, tree.root);
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => TREE_ROW_PX,
    overscan: 12,
    getItemKey: (index) => keyOf(items[index]),
  });
  const selectedIndex = items.findIndex((item) => item.type === "row" && item.row.path === state.selected);
  useEffect(() => {
    if (selectedIndex >= 0) virtualizer.scrollToIndex(selectedIndex, { align: "auto" });
  }, [selectedIndex, virtualizer]);
  useEffect(() => {
    if (activePath !== undefined) tree.select(activePath);
  }, [activePath, tree]);
  const finishEdit = async (name: string) => {
    await edits?.finish(name);
    scroller.current?.focus();
  };
  const activate = (row: TreeRow) => {
    tree.select(row.path);
    if (row.isFolder) tree.toggle(row.path);
    else onOpen(row.path);
  };
  return (
    <div
      ref={scroller}
      role="tree"
      aria-label="Files"
      tabIndex={0}
      aria-activedescendant={state.selected === undefined ? undefined : treeRowId(state.selected)}
      className="min-h-0 flex-1 overflow-y-auto pb-8 outline-offset-[-2px]"
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const isUsed = handleTreeKey(event.key, tree, {
          open: onOpen,
          rename: (path) => edits && tree.beginEdit({ kind: "rename", path }),
          remove: (row) => edits?.remove(row),
        });
        if (isUsed) event.preventDefault();
      }}
    >
      {state.error ? <FailureNote failure={failureOf(state.error.code)} className="m-2" /> : null}
      {state.isReady || state.error ? null : <ListOutline />}
      {state.isReady && items.length === 0 ? (
        <p className="px-4 py-3 text-ink-faint text-xs">{emptyText}</p>
      ) : null}
      <div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
        {virtualizer.getVirtualItems().map((virtual) => {
          const item = items[virtual.index];
          if (!item) return null;
          return (
            <div
              key={virtual.key}
              className="absolute inset-x-0 top-0"
              style={{ transform: `translateY(${virtual.start}px)`, zIndex: item.type === "edit" ? 1 : 0 }}
            >
              {item.type === "edit" ? (
                <TreeInput
                  label={
                    item.edit.kind === "rename"
                      ? "New name"
                      : item.edit.kind === "file"
                        ? "File name"
                        : "Folder name"
                  }
                  initial={item.edit.kind === "rename" ? baseName(item.edit.path) : ""}
                  depth={item.depth}
                  onSubmit={finishEdit}
                  onCancel={() => {
                    tree.cancelEdit();
                    scroller.current?.focus();
                  }}
                />
              ) : (
                <TreeRowView
                  row={item.row}
                  isSelected={item.row.path === state.selected}
                  onSelect={() => tree.select(item.row.path)}
                  onActivate={() => activate(item.row)}
                  menu={menuFor(item.row)}
                />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

const OUTLINE_WIDTHS = ["w-24", "w-32", "w-20", "w-28", "w-36"];

/** Until the machine has said what there is. */
function ListOutline() {
  return (
    <div role="status" aria-label="Loading files" className="grid animate-fade gap-3.5 px-4 py-2">
      {OUTLINE_WIDTHS.map((width) => (
        <div key={width} className={`h-3.5 rounded-sm bg-active ${width}`} />
      ))}
    </div>
  );
}

/** The rows with the input in its place: first in its folder, or instead of the row that is renamed. */
function withEdit(rows: TreeRow[], edit: TreeEdit | undefined, root: string): Item[] {
  const items: Item[] = rows.map((row) => ({ type: "row", row }));
  if (!edit) return items;
  const at = rows.findIndex(({ path }) => path === edit.path);
  const depth = rows[at]?.depth ?? -1;
  if (edit.kind === "rename") {
    if (at >= 0) items[at] = { type: "edit", edit, depth, key: "edit" };
  } else if (at >= 0 || edit.path === root) {
    items.splice(at + 1, 0, { type: "edit", edit, depth: depth + 1, key: "edit" });
  }
  return items;
}

function keyOf(item: Item | undefined): string {
  if (!item) return "";
  return item.type === "row" ? item.row.path : item.key;
}
