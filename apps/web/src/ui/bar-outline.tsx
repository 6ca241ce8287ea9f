import { ChevronLeft } from "lucide-react";
import Link from "next/link";
import { LogoMark } from "./logo.tsx";

/** The bar of a workspace's page before its code is there, drawn by the server. */
export function BarOutline({ name }: { name: string }) {
  return (
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
  );
}
