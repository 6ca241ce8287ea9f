import Link from "next/link";
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import type { Failure } from "./failure.ts";
import { Logo } from "./logo.tsx";

/** A whole page for one failure. */
export function MessagePage({ failure, actions }: { failure: Failure; actions?: ReactNode }) {
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="p-6">
        <Link href="/" aria-label="Atoll, home" className="inline-flex rounded-md">
          <Logo />
        </Link>
      </header>
      <main className="mx-auto flex w-full max-w-md flex-1 flex-col justify-center px-6 pb-32">
        <h1 className="font-semibold text-2xl tracking-tight">{failure.what}</h1>
        <p className="mt-2 text-ink-soft">
          {failure.why} {failure.now}
        </p>
        <p className="mt-3 font-mono text-ink-faint text-xs">{failure.code}</p>
        <div className="mt-7 flex flex-wrap gap-2">
          {actions}
          <Button asChild>
            <Link href="/">Your workspaces</Link>
          </Button>
        </div>
      </main>
    </div>
  );
}
