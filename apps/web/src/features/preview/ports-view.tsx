"use client";
import { ExternalLink, PanelRight } from "lucide-react";
import { Button } from "#ui/button.tsx";
import { Tooltip } from "#ui/tooltip.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { SidePane } from "../workbench/side-pane.tsx";

export interface PortsViewProps {
  onPreview: (port: number) => void;
  onOpenInTab: (port: number) => void;
}

export function PortsView({ onPreview, onOpenInTab }: PortsViewProps) {
  const { ports: model } = useModels();
  const { ports, isKnown } = useModelState(model.state);
  return (
    <SidePane title="Ports">
      {!isKnown ? (
        <p className="px-4 py-2 text-ink-faint text-xs leading-5">Asking the machine what listens.</p>
      ) : ports.length === 0 ? (
        <p className="px-4 py-2 text-ink-faint text-xs leading-5">
          Nothing is listening. Start a server in the terminal, for example{" "}
          <code className="rounded-sm bg-sunken px-1 font-mono text-ink-soft">
            python3 -m http.server 8000
          </code>
          , and it appears here. Only you can open it.
        </p>
      ) : (
        <ul aria-label="Listening ports">
          {ports.map(({ port, process, address }) => (
            <li
              key={port}
              aria-label={`Port ${port}`}
              className="group flex h-9 items-center gap-2 pr-2 pl-4 hover:bg-hover"
            >
              <button
                type="button"
                className="flex min-w-0 flex-1 items-baseline gap-2 rounded-sm text-left"
                aria-label={`Preview port ${port}`}
                onClick={() => onPreview(port)}
              >
                <span className="font-mono text-ink text-sm">{port}</span>
                <span className="truncate text-ink-faint text-xs">
                  {process ?? "unknown program"} · {address}
                </span>
              </button>
              <Tooltip content="Preview here">
                <Button
                  tone="ghost"
                  size="iconSm"
                  aria-label={`Open port ${port} beside the editor`}
                  onClick={() => onPreview(port)}
                >
                  <PanelRight aria-hidden className="size-3.5!" />
                </Button>
              </Tooltip>
              <Tooltip content="Open in a new tab">
                <Button
                  tone="ghost"
                  size="iconSm"
                  aria-label={`Open port ${port} in a new tab`}
                  onClick={() => onOpenInTab(port)}
                >
                  <ExternalLink aria-hidden className="size-3.5!" />
                </Button>
              </Tooltip>
            </li>
          ))}
        </ul>
      )}
    </SidePane>
  );
}
