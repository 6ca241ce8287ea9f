import { ChevronLeft } from "lucide-react";
import Link from "next/link";
import { LogoMark } from "#ui/logo.tsx";

/** The page's outline, drawn by the server so that nothing jumps when the rest arrives. */
export function RescueFrame({ name }: { name: string }) {
  return (
    <div className="flex h-dvh flex-col overflow-hidden" aria-busy="true">
      <header className="flex min-h-11 shrink-0 items-center gap-2 border-line border-b bg-canvas px-2">
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
      <div className="min-h-9 shrink-0 border-line border-b bg-info-soft" />
      <div className="flex min-h-0 flex-1">
        <div className="w-80 border-line border-r bg-canvas" />
        <div className="flex-1 bg-surface" />
      </div>
    </div>
  );
}
