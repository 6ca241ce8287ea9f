"use client";
import { Plus, SquareTerminal, X } from "lucide-react";
import { Button } from "#ui/button.tsx";
import { classNames } from "#ui/class-names.ts";
import { onTabKey } from "#ui/tab-keys.ts";
import { toastFailure } from "#ui/toaster.tsx";
import { Tooltip } from "#ui/tooltip.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { TerminalView } from "./terminal-view.tsx";

export function TerminalPanel({ onHide }: { onHide: () => void }) {
  const { terminals: list } = useModels();
  const { terminals = [], activeId } = useModelState(list.state);
  const open = () => list.open().catch(toastFailure);
  return (
    <section aria-label="Terminals" className="flex h-full flex-col bg-surface">
      <div className="flex h-9 shrink-0 items-center gap-1 border-line border-b px-2">
        <div
          role="tablist"
          aria-label="Terminals"
          className="flex min-w-0 flex-1 items-center gap-0.5 overflow-x-auto"
        >
          {terminals.map((terminal, index) => {
            const isActive = terminal.terminalId === activeId;
            const title = terminal.title || `bash ${index + 1}`;
            const close = () => void list.kill(terminal.terminalId).catch(toastFailure);
            return (
              <div key={terminal.terminalId} className="group flex shrink-0 items-center">
                <button
                  type="button"
                  role="tab"
                  aria-selected={isActive}
                  tabIndex={isActive ? 0 : -1}
                  onKeyDown={(event) => onTabKey(event, close)}
                  onClick={() => list.activate(terminal.terminalId)}
                  className={classNames(
                    "flex h-7 max-w-48 items-center gap-1.5 rounded-md pr-1.5 pl-2 text-ink-soft text-xs outline-offset-[-2px] hover:bg-hover",
                    isActive && "bg-active text-ink",
                  )}
                >
                  <SquareTerminal aria-hidden className="size-3.5 shrink-0" />
                  <span className="truncate">{title}</span>
                  {terminal.exit ? <span className="text-ink-faint">(ended)</span> : null}
                </button>
                <Button
                  tone="ghost"
                  size="iconSm"
                  aria-label={`Close terminal ${title}`}
                  className={classNames(
                    "size-5",
                    !isActive && "opacity-0 focus-visible:opacity-100 group-hover:opacity-100",
                  )}
                  tabIndex={isActive ? 0 : -1}
                  onClick={close}
                >
                  <X aria-hidden className="size-3!" />
                </Button>
              </div>
            );
          })}
        </div>
        <Tooltip content="New terminal">
          <Button tone="ghost" size="iconSm" aria-label="New terminal" onClick={open}>
            <Plus aria-hidden />
          </Button>
        </Tooltip>
        <Tooltip content="Hide panel (Ctrl+J)">
          <Button tone="ghost" size="iconSm" aria-label="Hide terminal panel" onClick={onHide}>
            <X aria-hidden />
          </Button>
        </Tooltip>
      </div>
      <div className="relative min-h-0 flex-1 overflow-hidden">
        {terminals.map(({ terminalId, title }, index) => (
          <TerminalView
            key={terminalId}
            terminalId={terminalId}
            title={title || `bash ${index + 1}`}
            isActive={terminalId === activeId}
          />
        ))}
        {terminals.length === 0 ? (
          <div className="grid h-full place-items-center">
            <Button onClick={open}>
              <SquareTerminal aria-hidden /> New terminal
            </Button>
          </div>
        ) : null}
      </div>
    </section>
  );
}
