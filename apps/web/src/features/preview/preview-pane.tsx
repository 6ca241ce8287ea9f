"use client";
import { ExternalLink, RotateCw, X } from "lucide-react";
import { type FormEvent, useCallback, useEffect, useRef, useState } from "react";
import { Button } from "#ui/button.tsx";
import { type Failure, toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { usePreviewUrl } from "./use-preview-url.ts";

export interface PreviewPaneProps {
  workspaceId: string;
  /** `<slug>.<preview domain>:<port>`; the port of the guest goes in front. */
  hostSuffix: string;
  target: { port: number; path: string };
  onNavigate: (target: { port: number; path: string }) => void;
  onClose: () => void;
}

/** A server of the machine on an origin of its own: nothing in it can reach this page. */
export function PreviewPane({ workspaceId, hostSuffix, target, onNavigate, onClose }: PreviewPaneProps) {
  const { ports: model, connection } = useModels();
  const { ports } = useModelState(model.state);
  const { wasLinked } = useModelState(connection.state);
  const { port, path } = target;
  const { urlFor, openInTab } = usePreviewUrl(workspaceId);
  const [src, setSrc] = useState<string>();
  const [failure, setFailure] = useState<Failure>();
  const [typed, setTyped] = useState(path);
  const latest = useRef(urlFor);
  latest.current = urlFor;
  const load = useCallback(async () => {
    setFailure(undefined);
    try {
      setSrc(await latest.current(port, path));
    } catch (error) {
      setFailure(toFailure(error));
    }
  }, [port, path]);
  useEffect(() => {
    setTyped(path);
    // Asking for a preview would wake the machine before this tab was let in.
    if (wasLinked) void load();
  }, [load, path, wasLinked]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const next = typed.startsWith("/") ? typed : `/${typed}`;
    if (next === path) void load();
    else onNavigate({ port, path: next });
  };
  const isListening = ports.some((listening) => listening.port === port);
  return (
    <section aria-label="Preview" className="@container flex h-full flex-col bg-surface">
      <form onSubmit={submit} className="flex h-9 shrink-0 items-center gap-1 border-line border-b px-2">
        <Button tone="ghost" size="iconSm" aria-label="Reload preview" onClick={() => void load()}>
          <RotateCw aria-hidden className="size-3.5!" />
        </Button>
        <select
          aria-label="Preview port"
          value={port}
          onChange={(event) => onNavigate({ port: Number(event.target.value), path: "/" })}
          className="h-6 rounded-sm border border-line-field bg-sunken px-1 font-mono text-ink text-xs"
        >
          {isListening ? null : <option value={port}>{port}</option>}
          {ports.map((listening) => (
            <option key={listening.port} value={listening.port}>
              {listening.port}
            </option>
          ))}
        </select>
        <div className="flex h-6 min-w-0 flex-1 items-center rounded-sm border border-line-field bg-sunken px-2 font-mono text-xs focus-within:border-focus">
          <span className="@2xl:block hidden shrink-0 text-ink-faint" title={`${port}-${hostSuffix}`}>
            {port}-{hostSuffix}
          </span>
          <input
            aria-label="Preview address"
            value={typed}
            spellCheck={false}
            onChange={(event) => setTyped(event.target.value)}
            className="h-full min-w-16 flex-1 bg-transparent text-ink outline-none"
          />
        </div>
        <Button
          tone="ghost"
          size="iconSm"
          aria-label="Open preview in a new tab"
          onClick={() => openInTab(port, path)}
        >
          <ExternalLink aria-hidden className="size-3.5!" />
        </Button>
        <Button tone="ghost" size="iconSm" aria-label="Close preview" onClick={onClose}>
          <X aria-hidden className="size-3.5!" />
        </Button>
      </form>
      {failure ? <FailureNote failure={failure} className="m-3" /> : null}
      {src ? (
        <iframe
          key={src}
          src={src}
          title={`Preview of port ${port}`}
          className="min-h-0 w-full flex-1 border-0 bg-white"
          allow="clipboard-write"
        />
      ) : null}
    </section>
  );
}
