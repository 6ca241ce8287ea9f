"use client";
import { ChevronRight, CornerDownRight } from "lucide-react";
import { ContextMenu } from "radix-ui";
import type { ReactNode } from "react";
import { classNames } from "#ui/class-names.ts";
import { menuItemLook, menuSurface } from "#ui/menu.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { FileIcon, FolderIcon } from "./file-icon.tsx";
import type { TreeRow } from "./file-tree-model.ts";

export interface TreeRowViewProps {
  row: TreeRow;
  isSelected: boolean;
  onSelect: () => void;
  onActivate: () => void;
  menu: ReactNode;
}

export const TREE_ROW_PX = 28;

export function TreeRowView({ row, isSelected, onSelect, onActivate, menu }: TreeRowViewProps) {
  return (
    <ContextMenu.Root onOpenChange={(open) => open && onSelect()}>
      <ContextMenu.Trigger asChild>
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: the tree keeps the focus and handles the keys of all rows */}
        <div
          id={treeRowId(row.path)}
          role="treeitem"
          tabIndex={-1}
          aria-level={row.depth + 1}
          aria-selected={isSelected}
          aria-expanded={row.isFolder ? row.isExpanded : undefined}
          aria-label={row.name}
          onClick={onActivate}
          className={classNames(
            "flex h-7 cursor-default select-none items-center gap-1.5 pr-2 text-ink-soft text-sm hover:bg-hover",
            isSelected && "bg-active text-ink",
          )}
          style={{ paddingLeft: 8 + row.depth * 12 }}
        >
          {row.isFolder ? (
            <ChevronRight
              aria-hidden
              className={classNames(
                "size-3.5 shrink-0 text-ink-faint transition-transform duration-100",
                row.isExpanded && "rotate-90",
              )}
            />
          ) : (
            <span className="w-3.5 shrink-0" />
          )}
          {row.isFolder ? <FolderIcon isOpen={row.isExpanded} /> : <FileIcon name={row.name} />}
          <span className="truncate">{row.name}</span>
          {row.isSymlink ? (
            <CornerDownRight aria-label="link" className="size-3 shrink-0 text-ink-faint" />
          ) : null}
          {row.isLoading ? <Spinner className="ml-auto size-3 text-ink-faint" /> : null}
        </div>
      </ContextMenu.Trigger>
      <ContextMenu.Portal>
        <ContextMenu.Content className={menuSurface}>{menu}</ContextMenu.Content>
      </ContextMenu.Portal>
    </ContextMenu.Root>
  );
}

export function treeRowId(path: string): string {
  return `tree:${encodeURIComponent(path)}`;
}

export function TreeMenuItem({
  children,
  onSelect,
  isDanger = false,
}: {
  children: ReactNode;
  onSelect: () => void;
  isDanger?: boolean;
}) {
  return (
    <ContextMenu.Item
      onSelect={onSelect}
      className={classNames(menuItemLook, isDanger && "text-danger data-[highlighted]:bg-danger-soft")}
    >
      {children}
    </ContextMenu.Item>
  );
}
