import type { ReactNode } from "react";

export interface SidePaneProps {
  title: string;
  actions?: ReactNode;
  children: ReactNode;
}

export function SidePane({ title, actions, children }: SidePaneProps) {
  return (
    <section aria-label={title} className="flex h-full flex-col bg-canvas">
      <div className="flex h-9 shrink-0 items-center gap-0.5 pr-2 pl-4">
        <h2 className="flex-1 font-medium text-ink-soft text-xs">{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}
