"use client";
import { useQuery } from "@tanstack/react-query";
import { ChevronUp, Folder } from "lucide-react";
import { useState } from "react";
import { Button } from "#ui/button.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import type { FileClient } from "./file-client.ts";
import { FileIcon } from "./file-icon.tsx";
import { baseName, isWithin, parentPath } from "./guest-path.ts";

export interface DiskUsageDialogProps {
  open: boolean;
  onClose: () => void;
  files: Pick<FileClient, "usage">;
  /** The highest folder that is looked at. */
  root: string;
  /** Where to begin; counting everything takes a while on an emulated machine. */
  start?: string;
  /** A path as its owner knows it. */
  shownPath: (path: string) => string;
}

const DEPTH = 2;

/** "What is big": the largest folders and files, a level at a time, and how full the disk is. */
export function DiskUsageDialog({ open, onClose, ...rest }: DiskUsageDialogProps) {
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      title="What is big"
      description="The largest folders and files. Choose a folder to look into it."
      className="max-w-xl"
    >
      {open ? <DiskUsage {...rest} /> : null}
    </Dialog>
  );
}

function DiskUsage({ files, root, start, shownPath }: Omit<DiskUsageDialogProps, "open" | "onClose">) {
  const [path, setPath] = useState(start ?? root);
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ["disk-usage", path],
    queryFn: () => files.usage(path, DEPTH),
    retry: false,
    gcTime: 0,
    placeholderData: (before) => before,
  });
  const largest = Math.max(1, ...(data?.entries.map(({ sizeBytes }) => sizeBytes) ?? []));
  const usedBytes = data ? data.diskTotalBytes - data.diskFreeBytes : 0;
  return (
    <div className="grid gap-3">
      {data ? (
        <div className="grid gap-1.5">
          <p className="text-sm">
            {byteWords(usedBytes)} of {byteWords(data.diskTotalBytes)} used, {byteWords(data.diskFreeBytes)}{" "}
            free
          </p>
          <div aria-hidden className="h-1.5 overflow-hidden rounded-full bg-active">
            <div
              className="h-full rounded-full bg-accent"
              style={{ width: `${Math.round((usedBytes / Math.max(1, data.diskTotalBytes)) * 100)}%` }}
            />
          </div>
        </div>
      ) : null}
      <div className="flex items-center gap-2">
        <Button
          size="sm"
          disabled={path === root}
          onClick={() => setPath(isWithin(parentPath(path), root) ? parentPath(path) : root)}
        >
          <ChevronUp aria-hidden className="size-3.5!" /> Up
        </Button>
        <p className="min-w-0 flex-1 truncate font-mono text-xs">{shownPath(path)}</p>
        {isFetching ? <Spinner className="size-3.5 text-accent" /> : null}
      </div>
      {error ? (
        <FailureNote failure={toFailure(error)}>
          <Button size="sm" className="mt-2 justify-self-start" onClick={() => void refetch()}>
            Try again
          </Button>
        </FailureNote>
      ) : null}
      <ul
        aria-label="Largest entries"
        aria-busy={isFetching}
        className="h-80 overflow-y-auto rounded-lg border border-line text-sm"
      >
        {data?.entries.map((entry) => (
          <li key={entry.path} className="relative border-line border-b last:border-b-0">
            <span
              aria-hidden
              className="absolute inset-y-0 left-0 bg-accent-soft/60"
              style={{ width: `${Math.round((entry.sizeBytes / largest) * 100)}%` }}
            />
            <button
              type="button"
              disabled={!entry.isFolder}
              onClick={() => setPath(entry.path)}
              className="relative flex h-8 w-full items-center gap-2 px-3 text-left outline-offset-[-2px] enabled:hover:bg-hover/60"
            >
              {entry.isFolder ? (
                <Folder aria-hidden className="size-4 shrink-0 text-accent" />
              ) : (
                <FileIcon name={baseName(entry.path)} />
              )}
              <span className="min-w-0 flex-1 truncate font-mono text-xs">{relative(entry.path, path)}</span>
              <span className="text-ink-soft text-xs tabular-nums">{byteWords(entry.sizeBytes)}</span>
            </button>
          </li>
        ))}
        {data && data.entries.length === 0 ? (
          <li className="px-3 py-2 text-ink-faint text-xs">Nothing here takes room.</li>
        ) : null}
      </ul>
    </div>
  );
}

function relative(path: string, folder: string): string {
  return isWithin(path, folder) && path !== folder
    ? path.slice(folder === "/" ? 1 : folder.length + 1)
    : path;
}
