"use client";
import { Check, Download as DownloadIcon, X } from "lucide-react";
import { Button } from "#ui/button.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { failureOf } from "#ui/failure.ts";
import { Spinner } from "#ui/spinner.tsx";
import { useModelState } from "../use-model-state.ts";
import type { Download, DownloadList } from "./download-list.ts";

/** The page's downloads with their progress; gone when there are none. */
export function DownloadBar({ list }: { list: DownloadList }) {
  const { downloads } = useModelState(list.state);
  if (downloads.length === 0) return null;
  return (
    <ul
      aria-label="Downloads"
      className="shrink-0 divide-y divide-line border-line border-t bg-surface text-xs"
    >
      {downloads.map((download) => (
        <li key={download.id} aria-label={download.name} className="flex items-center gap-2 px-3 py-1.5">
          <PhaseIcon download={download} />
          <div className="min-w-0 flex-1">
            <p className="truncate font-medium">{download.name}</p>
            <p role="status" className="text-ink-soft">
              {phaseWords(download)}
            </p>
          </div>
          <Button
            tone="ghost"
            size="iconSm"
            aria-label={download.phase === "running" ? `Cancel ${download.name}` : `Forget ${download.name}`}
            onClick={() =>
              download.phase === "running" ? list.cancel(download.id) : list.dismiss(download.id)
            }
          >
            <X aria-hidden className="size-3.5!" />
          </Button>
        </li>
      ))}
    </ul>
  );
}

function PhaseIcon({ download: { phase } }: { download: Download }) {
  if (phase === "running") return <Spinner className="size-3.5 text-accent" />;
  if (phase === "done") return <Check aria-hidden className="size-3.5 text-ok" />;
  return <DownloadIcon aria-hidden className="size-3.5 text-ink-faint" />;
}

function phaseWords({ phase, receivedBytes, totalBytes, skippedCount, error }: Download): string {
  const received = byteWords(receivedBytes);
  switch (phase) {
    case "running":
      return totalBytes === undefined ? received : `${received} of ${byteWords(totalBytes)}`;
    case "done":
      return skippedCount > 0
        ? `Done, ${received}. ${skippedCount} ${skippedCount === 1 ? "entry" : "entries"} could not be read.`
        : `Done, ${received}`;
    case "cancelled":
      return "Cancelled; nothing was kept.";
    case "failed": {
      const { what, now, code } = failureOf(error?.code);
      return `${what} ${now} (${code})`;
    }
  }
}
