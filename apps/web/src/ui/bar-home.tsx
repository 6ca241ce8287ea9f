import { ChevronLeft } from "lucide-react";
import Link from "next/link";
import { Button } from "./button.tsx";
import { LogoMark } from "./logo.tsx";

/** First in the bar of a workspace's pages: back to all workspaces. */
export function BarHome() {
  return (
    <Button asChild tone="ghost" size="sm" className="gap-1 px-1.5">
      <Link href="/" aria-label="Your workspaces">
        <ChevronLeft aria-hidden className="size-3.5!" />
        <LogoMark className="size-5! text-accent" />
      </Link>
    </Button>
  );
}
