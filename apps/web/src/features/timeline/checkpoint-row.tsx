"use client";
import { Copy, Ellipsis, FolderSearch, LayoutTemplate, MemoryStick, Trash2 } from "lucide-react";
import Link from "next/link";
import { Button } from "#ui/button.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { classNames } from "#ui/class-names.ts";
import { dateWords } from "#ui/date-words.ts";
import { Menu, MenuItem, MenuSeparator } from "#ui/menu.tsx";
import type { TimelineRow } from "./timeline-model.ts";

export interface CheckpointRowProps {
  row: TimelineRow;
  slug: string;
  nowMs: number;
  isBusy: boolean;
  onRestore: () => void;
  onFork: () => void;
  onTemplate: () => void;
  onDelete: () => void;
}

export function CheckpointRow(props: CheckpointRowProps) {
  const { row, slug, nowMs, isBusy } = props;
  const { checkpoint, isCurrent, isUndo, kindWords } = row;
  const { name, createdAtMs, ownBytes, hasMemory, checkpointId } = checkpoint;
  return (
    <li
      aria-label={name}
      className="group relative grid gap-0.5 py-2 pr-2 pl-9 hover:bg-hover focus-within:bg-hover"
    >
      <span aria-hidden className="absolute top-0 bottom-0 left-5 w-px bg-line" />
      <span
        aria-hidden
        className={classNames(
          "absolute top-3.5 left-5 size-2.5 -translate-x-1/2 rounded-full border-2 border-canvas",
          isCurrent ? "bg-accent" : checkpoint.kind === "named" ? "bg-ink-soft" : "bg-line-strong",
        )}
      />
      <div className="flex items-center gap-1">
        <p className="min-w-0 flex-1 truncate font-medium text-sm" title={name}>
          {name}
        </p>
        <Button
          size="sm"
          tone={isUndo ? "plain" : "ghost"}
          disabled={isBusy}
          onClick={props.onRestore}
          aria-label={isUndo ? `Undo restore with ${name}` : `Restore ${name}`}
        >
          {isUndo ? "Undo" : "Restore"}
        </Button>
        <Menu
          trigger={
            <Button tone="ghost" size="iconSm" aria-label={`Actions for ${name}`}>
              <Ellipsis aria-hidden />
            </Button>
          }
        >
          <MenuItem asChild>
            <Link href={`/w/${slug}/files?checkpoint=${checkpointId}`}>
              <FolderSearch aria-hidden /> Browse files
            </Link>
          </MenuItem>
          <MenuItem onSelect={props.onFork}>
            <Copy aria-hidden /> Fork from here…
          </MenuItem>
          <MenuItem onSelect={props.onTemplate}>
            <LayoutTemplate aria-hidden /> Make template…
          </MenuItem>
          <MenuSeparator />
          <MenuItem isDanger onSelect={props.onDelete}>
            <Trash2 aria-hidden /> Delete…
          </MenuItem>
        </Menu>
      </div>
      <p className="flex flex-wrap items-center gap-x-1.5 text-ink-faint text-xs">
        <span>{dateWords(createdAtMs, nowMs)}</span>
        <span aria-hidden>·</span>
        <span>{kindWords}</span>
        <span aria-hidden>·</span>
        <span>{byteWords(ownBytes)}</span>
      </p>
      {hasMemory || isCurrent ? (
        <p className="flex flex-wrap items-center gap-x-2 text-ink-faint text-xs">
          {hasMemory ? (
            <span className="inline-flex items-center gap-1">
              <MemoryStick aria-hidden className="size-3" /> with memory
            </span>
          ) : null}
          {isCurrent ? <span className="text-accent-ink">you are here</span> : null}
        </p>
      ) : null}
    </li>
  );
}
