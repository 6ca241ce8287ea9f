"use client";
import { Cable, Files, History, SquareTerminal } from "lucide-react";
import { Button } from "#ui/button.tsx";
import { classNames } from "#ui/class-names.ts";
import { Tooltip } from "#ui/tooltip.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";
import type { SideView } from "./workbench-state.ts";

export interface ActivityBarProps {
  side: SideView | undefined;
  onSide: (side: SideView | undefined) => void;
  isPanelOpen: boolean;
  onPanel: () => void;
}

const VIEWS = [
  { id: "explorer", label: "Explorer", Icon: Files },
  { id: "ports", label: "Ports", Icon: Cable },
  { id: "timeline", label: "Timeline", Icon: History },
] as const;

export function ActivityBar({ side, onSide, isPanelOpen, onPanel }: ActivityBarProps) {
  const { ports: model } = useModels();
  const { ports } = useModelState(model.state);
  return (
    <nav
      aria-label="Views"
      className="flex w-11 shrink-0 flex-col items-center gap-1 border-line border-r bg-canvas py-1.5"
    >
      {VIEWS.map(({ id, label, Icon }) => {
        const isOpen = side === id;
        const count = id === "ports" ? ports.length : 0;
        return (
          <Tooltip key={id} content={label} side="right">
            <Button
              tone="ghost"
              size="icon"
              aria-label={count > 0 ? `${label}, ${count} listening` : label}
              aria-pressed={isOpen}
              onClick={() => onSide(isOpen ? undefined : id)}
              className={classNames("relative", isOpen && "bg-active text-ink")}
            >
              <Icon aria-hidden className="size-4.5!" />
              {count > 0 ? (
                <span
                  aria-hidden
                  className="-right-0.5 -top-0.5 absolute grid h-3.5 min-w-3.5 place-items-center rounded-full bg-accent px-0.5 text-[9px] text-on-accent leading-none"
                >
                  {count}
                </span>
              ) : null}
            </Button>
          </Tooltip>
        );
      })}
      <span className="flex-1" />
      <Tooltip content="Terminal (Ctrl+J)" side="right">
        <Button
          tone="ghost"
          size="icon"
          aria-label="Terminal panel"
          aria-pressed={isPanelOpen}
          onClick={onPanel}
          className={classNames(isPanelOpen && "text-ink")}
        >
          <SquareTerminal aria-hidden className="size-4.5!" />
        </Button>
      </Tooltip>
    </nav>
  );
}
