import { ChevronLeft } from "lucide-react";
import Link from "next/link";
import { LogoMark } from "#ui/logo.tsx";

/** The workbench's outline, drawn by the server so that the page is there at once and nothing jumps later. */
export function WorkbenchFrame({ name }: { name: string }) {
  return (
    <div className="flex h-dvh flex-col overflow-hidden" aria-busy="true">
      <header className="flex h-11 shrink-0 items-center gap-2 border-line border-b bg-canvas px-2">
        <Link
          href="/"
          aria-label="Your workspaces"
          className="flex h-7 items-center gap-1 px-1.5 text-ink-soft"
        >
          <ChevronLeft aria-hidden className="size-3.5" />
          <LogoMark className="size-5 text-accent" />
        </Link>
        <h1 className="truncate font-semibold text-sm">{name}</h1>
      </header>
      <div className="flex min-h-0 flex-1">
        <div className="w-11 border-line border-r bg-canvas" />
        <div className="w-65 border-line border-r bg-canvas" />
        <div className="flex flex-1 flex-col bg-surface">
          <div className="flex-1" />
          <div className="h-[38%] border-line border-t" />
        </div>
      </div>
      <div className="h-7 shrink-0 border-line border-t bg-canvas" />
    </div>
  );
}
